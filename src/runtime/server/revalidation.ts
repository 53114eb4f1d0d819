import type { SSEPublicError } from '../shared/errors'
import { SSEError } from '../shared/errors'
import type { Connection } from './connection'
import type { Due, Heartbeats } from './heartbeat'
import { isPrivateError, publicError } from './public-error'

/** So many checks in a row may fail to say yes or no. */
const MAX_UNKNOWN = 3

/**
 * Asks again and again whether a stream may go on. On the wheel of the heartbeats: no timer of its own.
 *
 * A check that throws something unexpected, or does not answer until the next is due, says nothing about the right: a
 * database that is away for a moment must not send everybody away at once. After three in a row the stream ends
 * nevertheless, and its client may come back: through the handler's own checks. `'leave'` asks it to.
 */
export class Revalidation implements Due {
  #at: number
  #running = false
  #unknown = 0

  constructor(
    private readonly connection: Connection,
    private readonly everyMs: number,
    private readonly check: () => unknown,
    private readonly report: (error: unknown) => void,
  ) {
    // Spread, as those who came at once would otherwise all ask at once.
    this.#at = performance.now() + everyMs * (0.8 + 0.2 * Math.random())
  }

  start(heartbeats: Heartbeats): void {
    if (this.connection.closed) return
    heartbeats.add(this)
    this.connection.onClosed(() => heartbeats.delete(this))
  }

  dueAt(): number {
    return this.connection.closed ? Infinity : this.#at
  }

  fire(now: number): void {
    this.#at = now + this.everyMs
    // Never two at once.
    if (this.#running) return this.#onUnknown(new Error(`[nuxt-sse] The check of \`revalidate\` has not answered within ${this.everyMs} ms.`))
    this.#running = true
    void this.#ask()
  }

  async #ask(): Promise<void> {
    try {
      const allowed = await this.check()
      // `null` is what many a function answers that finds no session. `undefined` is that of one that throws where it does not allow.
      if (allowed === false || allowed === null) this.#end(LAPSED)
      // Nothing is said of the right, but that it must be shown anew.
      else if (allowed === 'leave') this.connection.leave()
      else this.#unknown = 0
    }
    catch (error) {
      if (isPrivateError(error)) this.#onUnknown(error)
      // A refusal is final for this right, whatever its status would otherwise say.
      else this.#end({ ...publicError(error), retry: false })
    }
    finally {
      this.#running = false
    }
  }

  #onUnknown(error: unknown): void {
    if (this.connection.closed) return
    this.report(error)
    if (++this.#unknown >= MAX_UNKNOWN) this.#end(UNKNOWN)
  }

  #end(error: SSEPublicError): void {
    if (!this.connection.closed) this.connection.fail(error)
  }
}

const LAPSED = publicError(new SSEError('UNAUTHORIZED', 'The right to this stream has lapsed.', { statusCode: 401, retry: false }))
const UNKNOWN = publicError(new SSEError('REVALIDATION_FAILED', 'The right to this stream could not be checked.', { statusCode: 503 }))
