import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, vi } from 'vitest'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

export function collectGarbage(): void {
  gc()
}

/** Watches objects, and waits until a number of them have been collected. */
export function collected(): { add(object: object): void, atLeast(count: number): Promise<void> } {
  const refs: WeakRef<object>[] = []
  return {
    add: object => void refs.push(new WeakRef(object)),
    async atLeast(count) {
      await vi.waitFor(() => {
        gc()
        expect(refs.filter(ref => ref.deref() === undefined).length).toBeGreaterThanOrEqual(count)
      }, { timeout: 45_000, interval: 20 })
    },
  }
}
