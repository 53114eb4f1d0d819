import { platform } from './platform/platform'

/** A task that runs in the request that made it, whichever request asks for it. */
export class OwnTask {
  readonly #turns = platform.turns()
  readonly #pulse = platform.pulse()
  readonly #task: () => void

  constructor(task: () => void) {
    this.#task = this.#turns.callable(task)
  }

  /** `false` when that request is gone: do not ask again. */
  run(): boolean {
    if (this.#pulse.feel() === 'gone') return false
    this.#task()
    return true
  }

  /** Releases it: it will not be asked for again. */
  stop(): void {
    this.#turns.stop()
    this.#pulse.stop()
  }
}
