import { SSEError } from '../../shared/errors'

const SWEEP_EVERY_MS = 1_000

interface Bucket {
  tokens: number
  filledAt: number
}

/**
 * Limit on how often this process may publish to each channel: a token bucket that holds one second's worth. It refuses at once, because
 * waiting publishes would take memory without a bound.
 */
export class PublishRate {
  readonly #buckets = new Map<string, Bucket>()
  #sweptAt = 0

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Number of remembered channels: those published to in about the last two seconds. */
  get size(): number {
    return this.#buckets.size
  }

  /** Counts one message. Throws `PUBLISH_RATE` (429) beyond `perSecond`. */
  take(channel: string, perSecond: number): void {
    const now = this.now()
    this.#sweep(now)
    let bucket = this.#buckets.get(channel)
    if (!bucket) this.#buckets.set(channel, bucket = { tokens: perSecond, filledAt: now })
    bucket.tokens = Math.min(perSecond, bucket.tokens + (now - bucket.filledAt) * perSecond / 1_000)
    bucket.filledAt = now
    if (bucket.tokens < 1) {
      throw new SSEError('PUBLISH_RATE', `Channel \`${channel}\` accepts at most ${perSecond} messages per second from this process. This message was not published. Publish less often, or raise \`maxPublishPerSecond\`.`, { statusCode: 429 })
    }
    bucket.tokens--
  }

  /** Forgets buckets untouched for a second: they are full again, as new ones would be. */
  #sweep(now: number): void {
    if (now - this.#sweptAt < SWEEP_EVERY_MS) return
    this.#sweptAt = now
    for (const [channel, { filledAt }] of this.#buckets) {
      if (now - filledAt >= SWEEP_EVERY_MS) this.#buckets.delete(channel)
    }
  }
}
