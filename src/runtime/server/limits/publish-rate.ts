import { SSEError } from '../../shared/errors'

const SWEEP_EVERY_MS = 1_000

interface Bucket {
  tokens: number
  filledAt: number
}

/**
 * How often each channel may be published to by this process: a token bucket that holds one second's worth. It refuses
 * at once: waiting publishes would be memory without a bound.
 */
export class PublishRate {
  readonly #buckets = new Map<string, Bucket>()
  #sweptAt = 0

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Channels that are remembered: those published to in about the last two seconds. */
  get size(): number {
    return this.#buckets.size
  }

  /** Throws `PUBLISH_RATE`. */
  take(channel: string, perSecond: number): void {
    const now = this.now()
    this.#sweep(now)
    let bucket = this.#buckets.get(channel)
    if (!bucket) this.#buckets.set(channel, bucket = { tokens: perSecond, filledAt: now })
    bucket.tokens = Math.min(perSecond, bucket.tokens + (now - bucket.filledAt) * perSecond / 1_000)
    bucket.filledAt = now
    if (bucket.tokens < 1) {
      throw new SSEError('PUBLISH_RATE', `Expected at most ${perSecond} messages a second on channel \`${channel}\`: nothing was published.`, { statusCode: 429 })
    }
    bucket.tokens--
  }

  /** A bucket untouched for a second is full again, as a new one would be. */
  #sweep(now: number): void {
    if (now - this.#sweptAt < SWEEP_EVERY_MS) return
    this.#sweptAt = now
    for (const [channel, { filledAt }] of this.#buckets) {
      if (now - filledAt >= SWEEP_EVERY_MS) this.#buckets.delete(channel)
    }
  }
}
