import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readPages } from '../../src/runtime/server/channel/batch'
import { readOlder } from '../../src/runtime/server/channel/older'
import { readPage } from '../../src/runtime/server/channel/read'
import { unpackData } from '../../src/runtime/server/drivers/packed-data'
import type { LogDriver, LogEntry } from '../../src/runtime/server/drivers/types'

const RETENTION = { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }

/** Reads backwards, and of several logs, as channels do it on any driver. A driver may keep several messages in one entry. */
export function describeLookingBack(current: () => { driver: LogDriver, channel: string }): void {
  const numbers = (entries: readonly LogEntry[]) => entries.map(({ data }) => Number.parseInt(JSON.parse(unpackData(data))))
  const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)

  /** Appends the messages 1 to `count`, so many at once; every seventh is named, and every twentieth long. */
  async function fill(driver: LogDriver, channel: string, count: number, atOnce: number, maxMessages = 1_000): Promise<string> {
    let epoch = ''
    for (let from = 1; from <= count; from += atOnce) {
      const entries = range(from, Math.min(count, from + atOnce - 1)).map(n => ({ data: JSON.stringify(`${n}${n % 20 === 0 ? ' '.repeat(20_000) : ''}`), event: n % 7 === 0 ? 'seventh' : undefined }))
      epoch = (await driver.append(channel, entries, { ...RETENTION, maxMessages })).epoch
    }
    return epoch
  }

  describe('looking back', () => {
    it('reads the messages right before any offset, and the last ones, whatever is kept and however it was appended', async () => {
      const { driver, channel } = current()
      for (const [count, atOnce, kept] of [[200, 1, 1_000], [200, 37, 1_000], [200, 50, 60], [3, 3, 1_000]] as const) {
        const name = `${channel} ${atOnce} ${kept}`
        const epoch = await fill(driver, name, count, atOnce, kept)
        const first = Math.max(1, count - kept + 1)
        await fc.assert(fc.asyncProperty(fc.oneof(fc.integer({ min: 0, max: count + 5 }), fc.constant(Number.MAX_SAFE_INTEGER)), fc.integer({ min: 1, max: 250 }), async (before, limit) => {
          const end = Math.min(before, count + 1)
          const page = await readOlder(driver, name, { epoch, offset: before }, limit)
          const expected = range(Math.max(first, end - limit), end - 1)
          expect(numbers(page.entries)).toEqual(expected)
          expect([page.hasOlder, page.gap]).toEqual([expected.length > 0 && expected[0]! > first, null])
          const last = await readPage(driver, name, { kind: 'last', messages: limit }, 'start')
          expect(numbers(last.entries)).toEqual(range(Math.max(first, count - limit + 1), count))
          expect([last.gap, last.position]).toEqual([null, `${epoch}.${count}`])
        }), { numRuns: 25 })
        expect(await readOlder(driver, name, { epoch: 'another', offset: 2 }, 5)).toEqual({ epoch, entries: [], hasOlder: false, gap: { reason: 'epoch', missed: null, position: `${epoch}.${first - 1}` } })
      }
    })

    it('reads back to the beginning page by page, where bytes end a page', async () => {
      const { driver, channel } = current()
      for (let n = 1; n <= 25; n++) await driver.append(channel, [{ data: JSON.stringify(`${n} ${'x'.repeat(n % 5 === 0 ? 700_000 : 90_000)}`) }], RETENTION)
      let { epoch, entries, hasOlder } = await readOlder(driver, channel, { epoch: (await driver.read(channel, 0, { messages: 0, bytes: 0 })).epoch, offset: 99 }, 1_000)
      const seen = numbers(entries)
      while (hasOlder) {
        ;({ epoch, entries, hasOlder } = await readOlder(driver, channel, { epoch, offset: seen[0]! }, 1_000))
        expect(entries.length).toBeGreaterThan(0)
        expect(entries.reduce((sum, { data }) => sum + data.length, 0)).toBeLessThan(1_048_576 + 700_100)
        seen.unshift(...numbers(entries))
      }
      expect(seen).toEqual(range(1, 25))
    })

    it('reads several logs within the bounds of one, until all was read', async () => {
      const { driver, channel } = current()
      const names = ['a', 'b', 'c'].map(key => `${channel} ${key}`)
      const counts = [900, 30, 700]
      for (const [index, name] of names.entries()) await fill(driver, name, counts[index]!, 90)
      const seen = names.map(() => [] as number[])
      let starts = names.map(name => ({ name, request: undefined as Parameters<typeof readPage>[2], from: 'start' as const }))
      for (let batches = 0; batches < 20 && seen.some((list, index) => list.length < counts[index]!); batches++) {
        const pages = await readPages(driver, starts)
        const messages = pages.reduce((sum, { entries }) => sum + entries.length, 0)
        const bytes = pages.flatMap(({ entries }) => entries).reduce((sum, { data }) => sum + data.length, 0)
        expect([messages > 0, messages <= 1_000, bytes < 1_048_576 + 20_100]).toEqual([true, true, true])
        // Nothing is held back that there is room for.
        if (batches === 0) expect(messages === 1_000 || bytes >= 1_048_576).toBe(true)
        for (const [index, { entries }] of pages.entries()) seen[index]!.push(...numbers(entries))
        starts = starts.map((start, index) => ({ ...start, request: { kind: 'at', epoch: pages[index]!.epoch, offset: Number(pages[index]!.position.split('.')[1]) } }))
      }
      expect(seen).toEqual(counts.map(count => range(1, count)))
    })
  })
}
