/** `#sse/node-response` in builds for runtimes that are not Node: nothing of Node's response is in them. */
export const createNodeResponse = (_event: object): undefined => undefined
