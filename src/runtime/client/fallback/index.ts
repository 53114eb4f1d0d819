/** What a client needs when something is wrong: where event streams do not arrive, or where requests fail or are refused. Pages load it on demand: see `ResolvedClientOptions.loadFallback`. */
export { checkStream } from './check-stream'
export { findGate } from './find-gate'
export { pollUntilStream } from './poll-until-stream'
export { probeNetwork } from './probe-network'
export { refusalOf } from './refusal-of'
