/**
 * Code that only some connections need: polling, checks of the network, error responses, older messages, and routes of several channels. Pages load it on
 * demand, by `loadFallback`.
 */
export { checkStream } from './check-stream'
export { findGate } from './find-gate'
export { loadOlder } from './older'
export { pollUntilStream } from './poll-until-stream'
export { probeNetwork } from './probe-network'
export { readRefusal } from './read-refusal'
export { openSeveral } from './several'
