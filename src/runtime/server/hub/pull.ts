import type { Reader, ReaderStep } from './channel-reader'

/**
 * Pulls a reader for a caller that awaits each step. Streams use the reader's callback instead: a waiting stream must not cost a promise.
 */
export class Pull {
  #closed = false
  #wake = () => {}

  constructor(private readonly reader: Reader) {}

  /** Resolves with the reader's next step, as soon as there is one; `undefined` once this is closed. One call at a time. */
  async next(): Promise<ReaderStep | undefined> {
    while (!this.#closed) {
      const { promise, resolve } = Promise.withResolvers<void>()
      // Set before the step: a wake may come during a read of the log.
      this.reader.wake = this.#wake = resolve
      const step = await this.reader.step()
      if (step) return step
      await promise
    }
    return undefined
  }

  /** Ends a wait, and closes the reader. */
  close(): void {
    this.#closed = true
    this.reader.close()
    this.#wake()
  }
}
