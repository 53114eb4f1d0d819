/** `#sse/node-response` in builds for other runtimes than Node: they contain no code for Node's response. */
export const createNodeResponse = (_event: object): undefined => undefined
