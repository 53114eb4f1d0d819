import type { findGate } from './find-gate'
import type { hasMissed } from './has-missed'
import type { pollUntilStream } from './poll-until-stream'
import type { refusalOf } from './refusal-of'

/** What a client needs when something is wrong: where event streams do not arrive, or where requests fail or are refused. Pages load it on demand: see `ResolvedClientOptions.loadFallback`. */
export { findGate } from './find-gate'
export { hasMissed } from './has-missed'
export { pollUntilStream } from './poll-until-stream'
export { refusalOf } from './refusal-of'

export interface Fallback {
  findGate: typeof findGate
  hasMissed: typeof hasMissed
  pollUntilStream: typeof pollUntilStream
  refusalOf: typeof refusalOf
}
