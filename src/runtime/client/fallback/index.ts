/** What a client needs when something is wrong: where event streams do not arrive, or where requests fail or are refused. Pages load it on demand: see `ResolvedClientOptions.loadFallback`. */
export { findGate } from './find-gate'
export { hasMissed } from './has-missed'
export { pollUntilStream } from './poll-until-stream'
export { refusalOf } from './refusal-of'
