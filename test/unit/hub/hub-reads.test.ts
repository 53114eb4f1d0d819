import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ChannelReader, ReaderStep } from '../../../src/runtime/server/hub/channel-reader'
import { readChannel } from '../../../src/runtime/server/channel/read'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { readState } from '../../../src/runtime/server/drivers/capabilities'
import type { LogDriver, LogPage } from '../../../src/runtime/server/drivers/types'
import { Hub } from '../../../src/runtime/server/hub/hub'
import { Pull } from '../../../src/runtime/server/hub/pull'
import { RecentMemory } from '../../../src/runtime/server/hub/recent-memory'
import type { PositionRequest } from '../../../src/runtime/shared/position'
import { parsePosition } from '../../../src/runtime/shared/position'
import { eventually } from '../../support/conditions'
import { watchedDriver } from '../../support/drivers'
import { turns } from '../../support/random'

const DEFAULTS = { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
const keep = (maxMessages: number) => ({ ...DEFAULTS, maxMessages })
/** Longer than the first read of a channel allows, so that the last messages have to be read from the log. */
const LONG = 'x'.repeat(100_000)

/** A reader that holds two messages and has to read the next ones from the log. */
async function readerBehind(driver: LogDriver): Promise<{ hub: Hub, reader: ChannelReader }> {
  const hub = new Hub(driver)
  for (let n = 1; n <= 6; n++) await driver.append('c', [{ data: JSON.stringify(n + LONG) }], keep(100))
  const reader = await hub.reader('c', undefined, 'start')
  await turns(2)
  while (reader.offset < 2) await reader.step()
  return { hub, reader }
}

describe('a reader that closes during a read', () => {
  it.each(['is unchanged', 'is deleted', 'is deleted and begins again', 'is trimmed', 'grows', 'ends'] as const)('reads no more, also when the channel %s', async (what) => {
    const driver = watchedDriver()
    const { hub, reader } = await readerBehind(driver)
    while (reader.offset < 6) {
      driver.hold()
      const step = reader.step()
      if (step instanceof Promise) {
        reader.close()
        if (what.startsWith('is deleted')) await driver.remove('c')
        if (what === 'is deleted and begins again') await driver.append('c', [{ data: '7' }], DEFAULTS)
        if (what === 'is trimmed') await driver.append('c', [{ data: '7' }], keep(1))
        if (what === 'grows') await driver.append('c', [{ data: '7' }], DEFAULTS)
        if (what === 'ends') await driver.finish('c', {}, DEFAULTS)
        const { reads } = driver
        driver.release()
        const settled = step.then(() => true)
        expect(await Promise.race([settled, turns(50)])).toBe(true)
        expect([driver.reads - reads, hub.size]).toEqual([0, 0])
        expect(reader.step()).toBeUndefined()
        return
      }
      driver.release()
    }
    expect.unreachable('the reader never asked the log')
  })
})

describe('a channel that changes during a read', () => {
  it('new readers start while others keep connecting: each waits for one read that began after its arrival', async () => {
    const driver = watchedDriver()
    const hub = new Hub(driver)
    const first = await hub.reader('c', undefined, 'start')
    await turns(2)
    const readers = [first]
    let admitted = 0
    const coming: Promise<void>[] = []
    const inner = driver.read
    // One more reader arrives during each read, so that there is no quiet moment.
    const busy = { on: true }
    driver.read = async (...args) => {
      if (busy.on && coming.length < 500) {
        coming.push(hub.reader('c', undefined, 'start').then((reader) => {
          readers.push(reader)
          admitted++
        }))
      }
      await turns(1)
      return inner(...args)
    }
    coming.push(hub.reader('c', undefined, 'start').then((reader) => {
      readers.push(reader)
      admitted++
    }))
    await turns(30)
    expect(admitted).toBeGreaterThan(3)
    busy.on = false
    await Promise.all(coming)
    for (const reader of readers) reader.close()
    expect(hub.size).toBe(0)
  })

  it('a repeated read names the last message of its first attempt, also when newer ones have arrived meanwhile', async () => {
    const inner = watchedDriver(undefined, { mute: true })
    const { epoch } = await readState(inner, 'c')
    const asked: [number, string | undefined][] = []
    const held = Promise.withResolvers<void>()
    let hold = false
    const markOf = (offset: number) => `m${offset}`
    const reader = await new Hub({
      ...inner,
      async read(channel, after, limit, seen) {
        const page = await inner.read(channel, after, limit)
        if (hold) {
          await held.promise
          // As a driver does when its first attempt gets no answer.
          asked.push([after, seen?.mark])
        }
        return { ...page, mark: markOf(page.last), entries: page.entries.map(entry => ({ ...entry, mark: markOf(entry.offset) })) }
      },
    }).reader('c', undefined, 'start')
    await turns(2)
    hold = true
    inner.notify({ type: 'changed' })
    await inner.append('c', [{ data: '1' }], DEFAULTS)
    inner.notify({ type: 'append', epoch, follows: markOf(0), entries: [{ offset: 1, mark: markOf(1), data: '1' }] })
    held.resolve()
    await turns(5)
    expect(asked.length).toBeGreaterThan(0)
    for (const [after, mark] of asked) expect(mark).toBe(markOf(after))
    reader.close()
  })

  it('readers get a page while the next one is read, on a channel that grows by more than a page', async () => {
    const driver = watchedDriver(undefined, { mute: true })
    const hub = new Hub(driver)
    const inner = driver.read
    let stop = false
    const reader = await hub.reader('c', undefined, 'start')
    await turns(2)
    const hubDriver = (hub as unknown as { readonly channels: Map<string, { driver: LogDriver, refresh(): Promise<void> }> }).channels.get('c')!
    hubDriver.driver.read = async (name, after, limit, seen) => {
      // Two messages are written for each one that is read.
      if (!stop) await driver.append('c', [{ data: '1' }, { data: '2' }], DEFAULTS)
      await turns(1)
      return inner(name, after, { ...limit, messages: 1 }, seen)
    }
    void hubDriver.refresh()
    let step: ReaderStep | undefined
    void new Pull(reader).next().then(next => step = next)
    await eventually(() => expect(step).toMatchObject({ type: 'messages' }), 2_000)
    stop = true
    reader.close()
  })

  it('a late reader of a busy channel with a short log gets messages after each gap', async () => {
    const driver = createMemoryDriver(DEFAULTS)
    let n = 0
    // Before each read another message replaces the kept one. Other channels use up the memory for recent messages.
    const write = async () => {
      await driver.append('c', [{ data: `${++n}` }, { data: `${++n}` }], keep(1))
      await driver.append('other', [{ data: '1' }], keep(1))
    }
    const hub = new Hub({ ...driver, read: async (...args) => {
      if (args[0] === 'c') await write()
      return driver.read(...args)
    } }, new RecentMemory(1))
    const other = await hub.reader('other', undefined, 'now')
    const reader = await hub.reader('c', undefined, 'now')
    await turns(2)
    const steps: string[] = []
    for (let i = 0; i < 8; i++) {
      if (steps.at(-1) !== 'gap') await write()
      steps.push((await reader.step())?.type ?? 'nothing')
    }
    expect(steps).toEqual(['gap', 'messages', 'gap', 'messages', 'gap', 'messages', 'gap', 'messages'])
    other.close()
    reader.close()
    expect(hub.size).toBe(0)
  })
})

describe('readChannel', () => {
  const requests: [string, PositionRequest | 'malformed' | undefined, 'start' | 'now', number[]][] = [
    ['start', { kind: 'start' }, 'start', [8, 9, 10]],
    ['nothing, from the start', undefined, 'start', [8, 9, 10]],
    ['now', { kind: 'now' }, 'start', []],
    ['nothing, from now', undefined, 'now', []],
    ['a count before what is kept', { kind: 'count', offset: 2 }, 'start', [8, 9, 10]],
    ['a count that is kept', { kind: 'count', offset: 8 }, 'start', [9, 10]],
    ['the newest', { kind: 'count', offset: 10 }, 'start', []],
    ['a malformed position', 'malformed', 'start', [8, 9, 10]],
  ]
  it.each(requests)('reads the log once for %s, also after it was trimmed', async (_, request, from, expected) => {
    const driver = watchedDriver()
    for (let n = 1; n <= 10; n++) await driver.append('c', [{ data: `${n}` }], keep(3))
    const { messages } = await readChannel(driver, 'c', request, from)
    expect(messages.map(({ data }) => data)).toEqual(expected)
    expect(driver.reads).toBe(1)
  })

  it.each([['of another epoch', { kind: 'at', epoch: 'other', offset: 9 }], ['beyond the end', { kind: 'count', offset: 50 }]] as const)('reads twice for a position %s', async (_, request) => {
    const driver = watchedDriver()
    for (let n = 1; n <= 10; n++) await driver.append('c', [{ data: `${n}` }], keep(3))
    const { messages, gap } = await readChannel(driver, 'c', request, 'start')
    expect(messages.map(({ data }) => data)).toEqual([8, 9, 10])
    expect(gap).not.toBeNull()
    expect(driver.reads).toBe(2)
  })

  it('answers after a few reads with the messages that follow its position, whatever happens to the log between the reads', async () => {
    const change = fc.oneof(
      fc.record({ type: fc.constant('append' as const), count: fc.integer({ min: 1, max: 8 }), keep: fc.integer({ min: 1, max: 5 }) }),
      fc.constant({ type: 'remove' as const }),
      fc.constant({ type: 'none' as const }),
    )
    const asked = fc.oneof(
      fc.constantFrom<PositionRequest | 'malformed' | undefined>({ kind: 'start' }, { kind: 'now' }, undefined, 'malformed'),
      fc.nat(20).map((offset): PositionRequest => ({ kind: 'count', offset })),
      fc.record({ kind: fc.constant('at' as const), epoch: fc.constantFrom('', 'other'), offset: fc.nat(20) }),
    )
    await fc.assert(fc.asyncProperty(asked, fc.constantFrom('start' as const, 'now' as const), fc.array(change, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 4 }), async (request, from, changes, limit) => {
      const inner = createMemoryDriver(DEFAULTS)
      await inner.append('c', Array.from({ length: 6 }, (_, n) => ({ data: `${n + 1}` })), keep(4))
      const { epoch } = await readState(inner, 'c')
      const pages: LogPage[] = []
      const driver: LogDriver = { ...inner, async read(...args) {
        const next = changes[pages.length % changes.length]!
        const page = await inner.read(...args)
        if (next.type === 'append') await inner.append('c', Array.from({ length: next.count }, () => ({ data: '0' })), keep(next.keep))
        if (next.type === 'remove') await inner.remove('c')
        pages.push(page)
        expect(pages.length).toBeLessThan(5)
        return page
      } }
      const at = typeof request === 'object' && request.kind === 'at' && request.epoch === '' ? { ...request, epoch } : request
      const { messages, position, gap } = await readChannel(driver, 'c', at, from, limit)
      const ids = messages.map(({ id }) => parsePosition(id!)!)
      const page = pages.at(-1)!
      expect(new Set([...ids.map(id => id.epoch), parsePosition(position)!.epoch])).toEqual(new Set([page.epoch]))
      const begin = gap ? parsePosition(gap.position)!.offset : ids.length ? ids[0]!.offset - 1 : parsePosition(position)!.offset
      expect(ids.map(({ offset }) => offset)).toEqual(ids.map((_, index) => begin + 1 + index))
      expect(parsePosition(position)!.offset).toBe(begin + ids.length)
      expect(begin).toBeGreaterThanOrEqual(page.first - 1)
      if (!gap && typeof at === 'object' && 'offset' in at) expect(begin).toBe(at.offset)
      await inner.close()
    }), { numRuns: 300 })
  })

  it('answers at once for a log of one message under constant writes', async () => {
    const driver = watchedDriver()
    const inner = driver.read
    let n = 0
    for (; n < 3; n++) await driver.append('c', [{ data: `${n}` }], keep(1))
    const busy: LogDriver = { ...driver, read: async (...args) => {
      await driver.append('c', [{ data: `${++n}` }], keep(1))
      return inner(...args)
    } }
    const { messages, gap } = await readChannel(busy, 'c', { kind: 'start' }, 'start')
    expect(messages).toHaveLength(1)
    expect(gap).toBeNull()
    expect(driver.reads).toBe(1)
  })
})
