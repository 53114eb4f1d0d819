import type { LogRetention, SSERetention } from '../../src/runtime/server/options'

/** Messages that a channel keeps, by count and bytes, in the simplest form. */
export function retentionModel() {
  let own: Partial<SSERetention> = {}
  let kept: string[] = []
  return {
    get kept() {
      return kept
    },
    write({ named, ...defaults }: LogRetention, data: string[]): void {
      own = { ...own, ...named }
      const { maxMessages, maxBytes } = { ...defaults, ...own }
      kept = [...kept, ...data].slice(-maxMessages)
      while (kept.length > 1 && Buffer.byteLength(kept.join('')) > maxBytes) kept.shift()
    },
    remove(): void {
      own = {}
      kept = []
    },
  }
}
