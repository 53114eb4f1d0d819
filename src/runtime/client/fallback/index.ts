import type { pollUntilStream } from './poll-until-stream'

/** What a client needs where event streams do not arrive. Pages load it on demand: see `ResolvedClientOptions.loadFallback`. */
export { pollUntilStream } from './poll-until-stream'

export interface Fallback {
  pollUntilStream: typeof pollUntilStream
}
