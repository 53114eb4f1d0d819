import type { SSEPublicError } from '../../shared/errors'
import { SSEError } from '../../shared/errors'
import { captureContext } from '../lib/async-context'
import type { H3Event } from 'h3'
import type { SSERevalidate } from '../options'
import type { Connection } from './connection'
import type { Due, Timers } from '../lib/platform/contract'
import { spreadEarlier } from '../lib/delays'
import { isPrivateError, publicError } from '../wire/public-error'

/** Checks in a row without a yes or no, after which the stream ends. */
const MAX_UNKNOWN = 3

/**
 * Checks periodically whether a stream may continue. Uses the timer wheel of the heartbeats, and no timer of its own.
 *
 * A check that throws an unexpected error, or is still running when the next is due, does not count as a no: an outage of a database must
 * not disconnect all clients at once. After three such checks in a row the stream ends nevertheless, and its client may reconnect, through
 * the handler's own checks. A check that returns `'leave'` instructs the client to do so.
 */
export class Revalidation implements Due {
  #at = Infinity
  #running = false
  #unknown = 0
  /** The timer belongs to the process, but checks run in the context of their request. */
  readonly #context = captureContext()

  constructor(
    private readonly connection: Connection,
    private readonly options: SSERevalidate,
    private readonly event: H3Event,
    private readonly report: (error: unknown) => void,
  ) {}

  /** Called when the stream has opened. */
  start(heartbeats: Timers): void {
    if (this.connection.closed) return
    // Spreads the checks of streams that were opened together.
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
    // One check at a time.
    if (this.#running) return this.#onUnknown(new Error(`\`revalidate\` did not settle within ${this.options.everyMs} ms. Make the check faster, or raise \`everyMs\`.`))
    this.#running = true
    void this.#check()
  }

  async #check(): Promise<void> {
    try {
      const allowed = await this.options.check(this.event)
      // Many functions resolve with `null` if there is no session. `undefined` means allowed: checks that throw instead of returning end
      // with it.
      if (allowed === false || allowed === null) this.#end(ACCESS_LOST)
      // The client must reconnect, and is checked as a new one.
      else if (allowed === 'leave') this.connection.leave()
      else this.#unknown = 0
    }
    catch (error) {
      if (isPrivateError(error)) this.#onUnknown(error)
      // A refusal is final, whatever its status would otherwise imply.
      else this.#end({ ...publicError(error), retry: false })
    }
    finally {
      this.#running = false
    }
  }

  #onUnknown(error: unknown): void {
    if (this.connection.closed) return
    this.report(error)
    if (++this.#unknown >= MAX_UNKNOWN) this.#end(UNVERIFIED)
  }

  #end(error: SSEPublicError): void {
    if (!this.connection.closed) this.connection.fail(error)
  }
}

const ACCESS_LOST = publicError(new SSEError('UNAUTHORIZED', 'You no longer have access to this stream.', { statusCode: 401, retry: false }))
const UNVERIFIED = publicError(new SSEError('REVALIDATION_FAILED', 'Your access to this stream could not be verified.', { statusCode: 503 }))
