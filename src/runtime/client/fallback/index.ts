import type { findGate } from './find-gate'
import type { pollUntilStream } from './poll-until-stream'

/** What a client needs when something is wrong: where event streams do not arrive, or where requests fail. Pages load it on demand: see `ClientInit`. */
export { findGate } from './find-gate'
export { pollUntilStream } from './poll-until-stream'

export interface Fallback {
  findGate: typeof findGate
  pollUntilStream: typeof pollUntilStream
}
