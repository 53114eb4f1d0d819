import type { LogRetention, SSERetention } from '../options'

/** Fields of a retention, in the order in which Redis stores them. */
export const RETENTION_FIELDS = ['maxMessages', 'maxAgeMs', 'maxBytes'] as const satisfies (keyof SSERetention)[]

/** Retention of one channel. The fields that a handle named are the channel's own; the others are the defaults of the latest writer. */
export class ChannelRetention implements SSERetention {
  maxMessages: number
  maxAgeMs: number
  maxBytes: number
  #own: Partial<SSERetention> = {}

  constructor({ maxMessages, maxAgeMs, maxBytes }: SSERetention) {
    this.maxMessages = maxMessages
    this.maxAgeMs = maxAgeMs
    this.maxBytes = maxBytes
  }

  /** Applies the fields that a writer names, and its defaults for the fields that no writer has named. */
  update({ named, maxMessages, maxAgeMs, maxBytes }: LogRetention): void {
    if (named) this.#own = { ...this.#own, ...named }
    this.maxMessages = this.#own.maxMessages ?? maxMessages
    this.maxAgeMs = this.#own.maxAgeMs ?? maxAgeMs
    this.maxBytes = this.#own.maxBytes ?? maxBytes
  }
}
