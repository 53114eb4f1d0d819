import type { LogRetention, SSERetention } from '../options'

/** In the order in which Redis keeps them. */
export const RETENTION_FIELDS = ['maxMessages', 'maxAgeMs', 'maxBytes'] as const satisfies (keyof SSERetention)[]

/** What one channel keeps: the fields that a handle named are its own, the others are the defaults of the latest writer. */
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

  /** Takes what a writer names, and its defaults for the fields that no writer has named. */
  update({ named, maxMessages, maxAgeMs, maxBytes }: LogRetention): void {
    if (named) this.#own = { ...this.#own, ...named }
    this.maxMessages = this.#own.maxMessages ?? maxMessages
    this.maxAgeMs = this.#own.maxAgeMs ?? maxAgeMs
    this.maxBytes = this.#own.maxBytes ?? maxBytes
  }
}
