import { bindContext } from '../lib/async-context'
import type { CleanupContext } from './cleanups'
import { Cleanups } from './cleanups'
import type { SSECloseReason } from './types'

const DONE = Promise.resolve()

/** End of a connection. `sent`: the response is over, too. */
interface Ending {
  readonly reason: SSECloseReason
  /** Delay of the reconnect that a `leave` requests, in milliseconds. */
  readonly returnMs: number
  sent: boolean
}

/** State of a connection from its request to its end, and everything that waits for the end: the signal, `done`, and clean-ups. */
export class Lifecycle {
  /**
   * `forgone`: the request gets another response instead of a stream. Handlers see a closed connection; clean-ups wait for the end of that
   * response.
   */
  #state: 'pending' | 'forgone' | 'open' | Ending = 'pending'
  readonly #cleanups: Cleanups
  #abort?: { readonly controller: AbortController, now(): void }
  #done?: PromiseWithResolvers<void>

  constructor(context: CleanupContext) {
    this.#cleanups = new Cleanups(context)
  }

  get isPending(): boolean {
    return this.#state === 'pending'
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Whether nothing can be sent any more. */
  get isClosed(): boolean {
    return this.isOver || this.#state === 'forgone'
  }

  /** Whether it has ended, or was refused. */
  get isOver(): boolean {
    return typeof this.#state === 'object'
  }

  get reason(): SSECloseReason | undefined {
    return typeof this.#state === 'object' ? this.#state.reason : undefined
  }

  /** Delay of the reconnect that a `leave` requests, in milliseconds; 0 without one. */
  get returnMs(): number {
    return typeof this.#state === 'object' ? this.#state.returnMs : 0
  }

  /** Resolves when the response is over. Created on first use, as {@link signal} is. */
  get done(): Promise<void> {
    return typeof this.#state === 'object' && this.#state.sent ? DONE : (this.#done ??= Promise.withResolvers<void>()).promise
  }

  /** Aborted when the connection is over. Created on first use: most handlers never use it. */
  get signal(): AbortSignal {
    if (!this.#abort) {
      const controller = new AbortController()
      // Listeners of the signal run in the context of the request that used it first.
      this.#abort = { controller, now: bindContext(() => controller.abort()) }
      if (this.isOver) controller.abort()
    }
    return this.#abort.controller.signal
  }

  whenClosed(callback: () => unknown): () => void {
    return this.#cleanups.add(callback)
  }

  open(): void {
    this.#state = 'open'
  }

  /**
   * Called if the connection never opens because the request gets another response, such as a poll's batch. The signal still reports when
   * the client disconnects.
   */
  forgo(): void {
    if (this.#state === 'pending') this.#state = 'forgone'
  }

  /** Ends the connection. `release` drops its resources before the signal and the clean-ups. A second call does nothing. */
  end(reason: SSECloseReason, release: () => void, returnMs = 0): void {
    if (this.isOver) return
    this.#state = { reason: this.#state === 'forgone' ? 'refused' : reason, returnMs, sent: false }
    release()
    this.#abort?.now()
    this.#cleanups.run()
  }

  /** Called when the response is over, too. */
  sent(): void {
    if (typeof this.#state !== 'object' || this.#state.sent) return
    this.#state.sent = true
    this.#done?.resolve()
  }

  /** Drops the signal: its listeners can no longer run. */
  dropSignal(): void {
    this.#abort = undefined
  }
}
