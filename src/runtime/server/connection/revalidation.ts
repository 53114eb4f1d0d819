import type { SSEPublicError } from '../../shared/errors'
import { SSEError } from '../../shared/errors'
import { captureContext } from '../lib/async-context'
import type { H3Event } from 'h3'
import type { SSERevalidate } from '../options'
import type { Connection } from './connection'
import type { Due, Timers } from '../lib/platform/contract'
import { spreadEarlier } from '../lib/delays'
import { isPrivateError, publicError } from '../wire/public-error'

/** After this many checks in a row that said neither yes nor no, the stream ends. */
const MAX_UNKNOWN = 3

/**
 * Asks again and again whether a stream may go on. On the wheel of the heartbeats: no timer of its own.
 *
 * A check that throws something unexpected, or does not answer until the next is due, says nothing about the right: a
 * database that is away for a moment must not send everybody away at once. After three in a row the stream ends
 * nevertheless, and its client may come back: through the handler's own checks. `'leave'` asks it to.
 */
export class Revalidation implements Due {
  #at = Infinity
  #running = false
  #unknown = 0
  /** The timer that calls for checks is everybody's. */
  readonly #context = captureContext()

  constructor(
    private readonly connection: Connection,
    private readonly options: SSERevalidate,
    private readonly event: H3Event,
    private readonly report: (error: unknown) => void,
  ) {}

  /** The stream has opened. */
  start(heartbeats: Timers): void {
    if (this.connection.closed) return
    // Streams that were opened together must not all be checked together.
    this.#at = performance.now() + spreadEarlier(this.options.everyMs)
    heartbeats.add(this)
    this.connection.life.whenClosed(() => heartbeats.delete(this))
  }

  dueAt(): number {
    return this.connection.closed ? Infinity : this.#at
  }

  fire(now: number): void {
    this.#at = now + this.options.everyMs
    this.#context.run(() => this.#begin())
  }

  #begin(): void {
    // Never two at once.
    if (this.#running) return this.#onUnknown(new Error(`The check of \`revalidate\` has not answered within ${this.options.everyMs} ms.`))
    this.#running = true
    void this.#ask()
  }

  async #ask(): Promise<void> {
    try {
      const allowed = await this.options.check(this.event)
      // Many functions that find no session resolve with `null`. `undefined` is allowed: it comes from a check that throws instead.
      if (allowed === false || allowed === null) this.#end(LAPSED)
      // Neither yes nor no: the client must come back and be checked as a newcomer.
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

const LAPSED = publicError(new SSEError('UNAUTHORIZED', 'You no longer have access to this stream.', { statusCode: 401, retry: false }))
const UNKNOWN = publicError(new SSEError('REVALIDATION_FAILED', 'Your access to this stream could not be verified.', { statusCode: 503 }))
