/** Code for connections that fail: polling, checks of the network, and reading error responses. Pages load it on demand, by `loadFallback`. */
export { checkStream } from './check-stream'
export { findGate } from './find-gate'
export { pollUntilStream } from './poll-until-stream'
export { probeNetwork } from './probe-network'
export { readRefusal } from './read-refusal'
