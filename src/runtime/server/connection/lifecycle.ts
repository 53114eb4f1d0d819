import { bindContext } from '../lib/async-context'
import type { CleanupContext } from './cleanups'
import { Cleanups } from './cleanups'
import type { SSECloseReason } from './types'

const DONE = Promise.resolve()

/** A connection that is over. `sent`: so is its response. */
interface Ending {
  readonly reason: SSECloseReason
  sent: boolean
}

/** Where a connection is between its request and its end, and all that waits for the end: the signal, `done`, and clean-ups. */
export class Lifecycle {
  /** `forgone`: the answer is another response, and no stream. Handlers see it as closed; clean-ups wait for the end of that response. */
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

  /** Nothing can be sent on it any more. */
  get isClosed(): boolean {
    return this.isOver || this.#state === 'forgone'
  }

  /** It has ended, or was refused. */
  get isOver(): boolean {
    return typeof this.#state === 'object'
  }

  get reason(): SSECloseReason | undefined {
    return typeof this.#state === 'object' ? this.#state.reason : undefined
  }

  /** Resolves when the response is over. Made when first asked for, as {@link signal}. */
  get done(): Promise<void> {
    return typeof this.#state === 'object' && this.#state.sent ? DONE : (this.#done ??= Promise.withResolvers<void>()).promise
  }

  /** Aborted when the connection is over. Made when first asked for: most handlers never do. */
  get signal(): AbortSignal {
    if (!this.#abort) {
      const controller = new AbortController()
      // Listeners of the signal clean up: in the context of the request that has asked for it.
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

  /** It never opens: the request is answered otherwise, by a poll's batch. The signal still says when the client leaves. */
  forgo(): void {
    if (this.#state === 'pending') this.#state = 'forgone'
  }

  /** The connection is over. `release` drops what it holds, before anything is told of the end. Does nothing the second time. */
  end(reason: SSECloseReason, release: () => void): void {
    if (this.isOver) return
    this.#state = { reason: this.#state === 'forgone' ? 'refused' : reason, sent: false }
    release()
    this.#abort?.now()
    this.#cleanups.run()
  }

  /** Its response is over, too. */
  sent(): void {
    if (typeof this.#state !== 'object' || this.#state.sent) return
    this.#state.sent = true
    this.#done?.resolve()
  }

  /** What listens to the signal can no longer run. */
  dropSignal(): void {
    this.#abort = undefined
  }
}
