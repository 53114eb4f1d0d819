import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { LoadRequest, LoadState } from './load-process.ts'

/** Handle of the runner on the readers' process. */
export class Load {
  readonly #child: ChildProcess
  readonly #asked = new Map<number, PromiseWithResolvers<LoadState>>()
  #id = 0

  constructor() {
    this.#child = fork(fileURLToPath(new URL('load-process.ts', import.meta.url)), { serialization: 'advanced' })
    this.#child.on('message', ({ id, result, error }: { id: number, result: LoadState, error?: string }) => {
      const asked = this.#asked.get(id)
      this.#asked.delete(id)
      if (error) asked?.reject(new Error(`The load: ${error}`))
      else asked?.resolve(result)
    })
    this.#child.on('exit', (code) => {
      for (const asked of this.#asked.values()) asked.reject(new Error(`The load ended with ${code}.`))
    })
  }

  ask(request: LoadRequest): Promise<LoadState> {
    const asked = Promise.withResolvers<LoadState>()
    this.#asked.set(++this.#id, asked)
    this.#child.send({ id: this.#id, request })
    return asked.promise
  }

  stop(): void {
    this.#child.disconnect()
  }
}
