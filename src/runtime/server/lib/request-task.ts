import { platform } from './platform/platform'

/** Task that runs in the request that created it, whichever request triggers it. */
export class RequestTask {
  readonly #turns = platform.turns()
  readonly #pulse = platform.pulse()
  readonly #task: () => void

  constructor(task: () => void) {
    this.#task = this.#turns.callable(task)
  }

  /** Runs the task. Returns `false` if its request is gone: do not call it again. */
  trigger(): boolean {
    if (this.#pulse.check() === 'gone') return false
    this.#task()
    return true
  }

  /** Releases the task. It is not triggered after that. */
  stop(): void {
    this.#turns.stop()
    this.#pulse.stop()
  }
}
