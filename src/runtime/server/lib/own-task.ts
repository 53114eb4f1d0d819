import { platform } from './platform/platform'

/** A task that is done in the request that makes this, whichever request asks for it. */
export class OwnTask {
  readonly #turns = platform.turns()
  readonly #pulse = platform.pulse()
  readonly #task: () => void

  constructor(task: () => void) {
    this.#task = this.#turns.callable(task)
  }

  /** `false` when that request is gone: there is no need to ask again. */
  run(): boolean {
    if (this.#pulse.feel() === 'gone') return false
    this.#task()
    return true
  }

  /** Nobody will ask for it any more. */
  stop(): void {
    this.#turns.stop()
    this.#pulse.stop()
  }
}
