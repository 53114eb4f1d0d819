import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { unpackData } from '../../../src/runtime/server/drivers/packed-data'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { readState } from '../../../src/runtime/server/drivers/capabilities'
import type { LogDriver, LogEntry, LogState } from '../../../src/runtime/server/drivers/types'
import type { ChannelReader, ReaderStep } from '../../../src/runtime/server/hub/channel-reader'
import { Hub } from '../../../src/runtime/server/hub/hub'
import { Pull } from '../../../src/runtime/server/hub/pull'
import { RecentMemory } from '../../../src/runtime/server/hub/recent-memory'
import { RecentMessages } from '../../../src/runtime/server/hub/recent-messages'
import { formatPosition, parsePositionRequest } from '../../../src/runtime/shared/position'
import { eventually } from '../../support/conditions'
import type { ChaosDriver } from '../../support/drivers'
import { createFailingDriver } from '../../../src/runtime/test'
import { chaosDriver, watchedDriver } from '../../support/drivers'
import { collected } from '../../support/garbage'
import { createRandom, turns } from '../../support/random'
import { Client, Truth } from '../../support/reader-model'
import { VirtualClock } from '../../support/virtual-clock'

const DEFAULTS = { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
const keep = (maxMessages: number) => ({ maxMessages, maxAgeMs: 3_600_000, maxBytes: 67_108_864 })

/** Uses one reader as a connection does: pulls until nothing is left, and again on each wake-up. */
class Pulled {
  reader?: ChannelReader
  busy = false
  closed = false
  failed?: unknown

  constructor(readonly client: Client, readonly onStep?: () => void) {}

  async open(hub: Hub, asked: string | undefined, from: 'start' | 'now', lastBefore: { epoch: string, offset: number }): Promise<void> {
    const reader = await hub.reader('c', asked === undefined ? undefined : parsePositionRequest(asked), from)
    if (this.closed) return reader.close()
    this.reader = reader
    if (asked === undefined || asked === 'start' || asked === 'now') this.client.begin(reader.position, (asked ?? from) as 'start', lastBefore)
    else if (!reader.gap && reader.position !== asked) this.client.fail(`asked for ${asked}, got ${reader.position}`)
    reader.wake = () => this.pump()
    this.pump()
  }

  pump(): void {
    while (!this.busy && !this.closed && this.reader) {
      const step = this.reader.step()
      if (!step) return
      if (!(step instanceof Promise)) {
        this.take(step)
        continue
      }
      this.busy = true
      step.then((next) => {
        this.busy = false
        if (this.closed) return
        if (next) this.take(next)
        this.pump()
      }).catch(error => this.failed = error)
    }
  }

  take(step: ReaderStep): void {
    try {
      if (step.type === 'messages') {
        for (const { offset, data } of step.run.entries) this.client.message(formatPosition(step.run.epoch, offset), JSON.parse(unpackData(data)))
      }
      else if (step.type === 'gap') {
        this.client.gap(step.gap)
      }
      else {
        this.client.end()
        this.close()
      }
    }
    catch (error) {
      this.failed = error
      this.close()
    }
  }

  close(): void {
    this.closed = true
    this.reader?.close()
  }
}

type Op
  = | { op: 'publish', count: number, key: boolean }
    | { op: 'delete' }
    | { op: 'end' }
    | { op: 'come', from: 'start' | 'now' }
    | { op: 'cut', who: number }
    | { op: 'back', who: number }
    | { op: 'deliver' }
    | { op: 'forget' }
    | { op: 'wait', turns: number, microtasks: number }

const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ op: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 6 }), key: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ op: 'delete' as const }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('come' as const), from: fc.constantFrom('start' as const, 'now' as const) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('cut' as const), who: fc.nat(9) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('back' as const), who: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.constant({ op: 'deliver' as const }) },
  { weight: 1, arbitrary: fc.constant({ op: 'forget' as const }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('wait' as const), turns: fc.nat(3), microtasks: fc.nat(6) }) },
)

/** Adds marks to entries, as a shared store does, so that the hub keeps recent messages after the last reader leaves. */
function marked(driver: LogDriver): LogDriver {
  const markOf = (epoch: string, offset: number) => `${epoch} ${offset}`
  const mark = (epoch: string, entries: readonly LogEntry[]) => entries.map(entry => ({ ...entry, mark: markOf(epoch, entry.offset) }))
  const withMark = (state: LogState) => ({ ...state, mark: markOf(state.epoch, state.last) })
  return {
    ...driver,
    async read(channel, after, limit) {
      const page = await driver.read(channel, after, limit)
      return { ...withMark(page), entries: mark(page.epoch, page.entries) }
    },
    subscribe: (channel, listener) => driver.subscribe(channel, notice => listener(notice.type === 'append' ? { ...notice, follows: markOf(notice.epoch, notice.entries[0]!.offset - 1), entries: mark(notice.epoch, notice.entries) } : notice)),
  }
}

/** Runs one interleaving and checks that all readers have all messages. */
async function run(ops: Op[], maxMessages: number, seed: number): Promise<{ gaps: number, messages: number }> {
  const random = createRandom(seed)
  const memory = createMemoryDriver(DEFAULTS)
  const driver: ChaosDriver = chaosDriver(random.chance(0.5) ? memory : marked(memory), random)
  const recent = new RecentMemory()
  const hub = new Hub(driver, recent)
  const truth = new Truth()
  const clients: { client: Client, pulled: Pulled }[] = []
  const opening: Promise<void>[] = []
  let published = 0
  let ended = false
  // The first subscriber, which is called within the append.
  await memory.subscribe('c', (notice) => {
    if (notice.type === 'append') for (const { offset, data } of notice.entries) truth.published(notice.epoch, offset, JSON.parse(unpackData(data)), maxMessages)
  })

  const open = async (entry: { client: Client, pulled: Pulled }, asked: string | undefined, from: 'start' | 'now') => {
    const { epoch, last } = await readState(memory, 'c')
    const { pulled } = entry
    opening.push(pulled.open(hub, asked, from, { epoch, offset: last }).catch(error => void (pulled.failed = error)))
  }
  for (const step of ops) {
    switch (step.op) {
      case 'publish': {
        if (ended) break
        // Some are so large that a page, or one step of a reader, holds only a few.
        const pad = random.chance(0.1) ? 'x'.repeat(30_000) : ''
        const entries = Array.from({ length: step.count }, () => ({ data: JSON.stringify(`${++published}${pad}`), key: step.key ? `k${published % 7}` : undefined }))
        await driver.append('c', entries, keep(maxMessages))
        break
      }
      case 'delete':
        ended = false
        await driver.remove('c')
        break
      case 'end':
        ended = true
        await driver.finish('c', {}, keep(maxMessages))
        break
      case 'come': {
        const client = new Client(truth, `client ${clients.length}`)
        const entry = { client, pulled: new Pulled(client) }
        clients.push(entry)
        await open(entry, random.chance(0.5) ? undefined : step.from, step.from)
        break
      }
      case 'cut':
        clients[step.who % clients.length]?.pulled.close()
        break
      case 'back': {
        const entry = clients[step.who % clients.length]
        if (!entry?.pulled.closed || entry.client.epoch === '' || entry.client.ended) break
        const { failed } = entry.pulled
        if (failed) throw failed
        entry.pulled = new Pulled(entry.client)
        await open(entry, entry.client.position, 'start')
        break
      }
      case 'deliver':
        driver.deliver()
        break
      case 'forget':
        // As if other channels had filled the memory.
        recent.get('c')?.forget()
        recent.delete('c')
        break
      case 'wait':
        await turns(step.turns, step.microtasks)
    }
  }
  await Promise.all(opening)
  // All clients reconnect, and the connection to the store works again.
  for (const entry of clients) {
    if (entry.pulled.failed) throw entry.pulled.failed
    if (!entry.pulled.closed || entry.client.ended) continue
    const again = entry.client.epoch === '' ? undefined : entry.client.position
    entry.pulled = new Pulled(entry.client)
    await open(entry, again, 'start')
  }
  await Promise.all(opening)
  driver.settle()
  const { epoch, last, closing } = await readState(memory, 'c')
  const behind = () => clients.filter(({ client, pulled }) => !pulled.failed && !(closing ? client.ended : client.epoch === epoch && client.offset === last))
  for (let i = 0; i < 200 && behind().length > 0; i++) await turns(1)
  for (const { pulled } of clients) if (pulled.failed) throw pulled.failed
  for (const { client } of behind()) client.fail(`stands at ${client.position}, but the log reaches ${epoch}.${last}${closing ? ' and has ended' : ''}`)
  for (const { pulled } of clients) pulled.close()
  if (hub.size !== 0) throw new Error(`${hub.size} channels are left in the hub`)
  await driver.close()
  return { gaps: clients.reduce((sum, { client }) => sum + client.gaps, 0), messages: clients.reduce((sum, { client }) => sum + client.seen.length, 0) }
}

describe('hub: every interleaving', () => {
  // @guarantee order-once, read-then-subscribe, long-replay, bad-position, one-subscription
  it('readers get each message once and in order, or an exact gap, whatever the notices do', { timeout: 120_000 }, async () => {
    let gaps = 0
    let messages = 0
    await fc.assert(fc.asyncProperty(fc.array(op, { minLength: 20, maxLength: 60, size: 'max' }), fc.integer({ min: 1, max: 12 }), fc.nat(), async (ops, maxMessages, seed) => {
      const result = await run(ops, maxMessages, seed)
      gaps += result.gaps
      messages += result.messages
    }), { numRuns: 3_000 })
    // The runs contained enough gaps and messages.
    expect(gaps).toBeGreaterThan(2_000)
    expect(messages).toBeGreaterThan(2_000)
  })

  // @guarantee order-once, lost-end
  it('the end reaches all readers after the last message, also when its notice is lost', { timeout: 120_000 }, async () => {
    await fc.assert(fc.asyncProperty(fc.array(op.filter(({ op }) => op !== 'delete'), { minLength: 10, maxLength: 40, size: 'max' }), fc.array(op.filter(({ op }) => op !== 'delete' && op !== 'publish'), { maxLength: 20, size: 'max' }), fc.integer({ min: 3, max: 12 }), fc.nat(), async (before, after, maxMessages, seed) => {
      await run([...before, { op: 'end' }, ...after], maxMessages, seed)
    }), { numRuns: 1_000 })
  })
})

/** All steps that the reader has now. */
async function drain(reader: ChannelReader): Promise<ReaderStep[]> {
  const steps: ReaderStep[] = []
  for (let step = await reader.step(); step; step = await reader.step()) {
    steps.push(step)
    if (step.type === 'end' || step.type === 'error') break
  }
  return steps
}

const dataOf = (steps: ReaderStep[]) => steps.flatMap(step => step.type === 'messages' ? step.run.entries.map(({ data }) => JSON.parse(unpackData(data))) : [step])

describe('hub: subscriptions', () => {
  // @guarantee one-subscription
  it('a channel has one driver subscription, however many readers connect at once, and none after they leave', async () => {
    const driver = watchedDriver()
    const hub = new Hub(driver)
    const readers = await Promise.all(Array.from({ length: 50 }, () => hub.reader('c', undefined, 'start')))
    expect([driver.subscribed, driver.listening, hub.size]).toEqual([1, 1, 1])
    for (const reader of readers) {
      reader.close()
      reader.close()
    }
    expect([driver.listening, hub.size]).toEqual([0, 0])
  })

  // @guarantee one-subscription
  it('the last reader to leave takes nothing from a new one', async () => {
    const driver = watchedDriver()
    const hub = new Hub(driver)
    for (let i = 0; i < 20; i++) {
      const first = await hub.reader('c', undefined, 'now')
      const coming = hub.reader('c', undefined, 'now')
      if (i % 2) await turns(0, i)
      first.close()
      const second = await coming
      const woken = new Promise<void>(resolve => second.wake = resolve)
      await driver.append('c', [{ data: `${i}` }], keep(10))
      await woken
      expect(dataOf(await drain(second))).toEqual([i])
      second.close()
    }
    expect([driver.listening, hub.size]).toEqual([0, 0])
  })

  // @guarantee read-then-subscribe
  it('a message published between the first read of the log and the acknowledged subscription arrives without a notice', async () => {
    const inner = createMemoryDriver(DEFAULTS)
    const acknowledged = Promise.withResolvers<void>()
    const hub = new Hub({ ...inner, async subscribe() {
      await acknowledged.promise
      return () => {}
    } })
    await inner.append('c', [{ data: '1' }], keep(10))
    const coming = hub.reader('c', undefined, 'start')
    await turns(2)
    await inner.append('c', [{ data: '2' }, { data: '3' }], keep(10))
    acknowledged.resolve()
    const reader = await coming
    expect(dataOf(await drain(reader))).toEqual([1])
    expect(dataOf([(await new Pull(reader).next())!])).toEqual([2, 3])
    reader.close()
  })

  // @guarantee first-failure
  it('a first subscription that failed is not remembered', async () => {
    const driver = createFailingDriver(createMemoryDriver(DEFAULTS))
    const hub = new Hub(driver)
    driver.fail('all')
    const failed = await Promise.allSettled([1, 2, 3].map(() => hub.reader('c', undefined, 'start')))
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(hub.size).toBe(0)
    driver.heal()
    const reader = await hub.reader('c', undefined, 'start')
    await driver.append('c', [{ data: '1' }], keep(10))
    expect(dataOf(await drain(reader))).toEqual([1])
    reader.close()
    expect(hub.size).toBe(0)
  })

  it('releases a subscription if the read of its log fails', async () => {
    const driver = watchedDriver()
    const hub = new Hub({ ...driver, read: () => Promise.reject(new Error('down')) })
    await expect(hub.reader('c', undefined, 'start')).rejects.toThrow('down')
    expect([driver.listening, hub.size]).toEqual([0, 0])
  })
})

describe('hub: an outage of the driver', () => {
  // @guarantee lost-end
  it.each(['end', 'hole', 'epoch'] as const)('a notice that arrives while the log is unreadable makes the hub read later: %s', async (what) => {
    const inner = watchedDriver(undefined, { mute: true })
    const driver = createFailingDriver(inner)
    const hub = new Hub(driver)
    await inner.append('c', [{ data: '1' }], keep(10))
    const reader = await hub.reader('c', undefined, 'start')
    expect(dataOf(await drain(reader))).toEqual([1])
    const woken = new Pull(reader).next()
    driver.fail('all')
    if (what === 'end') await inner.finish('c', {}, keep(10))
    if (what === 'epoch') await inner.remove('c')
    if (what !== 'end') await inner.append('c', [{ data: '2' }, { data: '3' }], keep(10))
    const { epoch } = await readState(inner, 'c')
    inner.notify(what === 'hole' ? { type: 'append', epoch, entries: [{ offset: 3, data: '3' }] } : { type: 'changed' })
    await turns(2)
    expect(driver.failed).toBeGreaterThan(0)
    driver.heal()
    const steps = [(await woken)!]
    if (what !== 'end') steps.push(...await drain(reader))
    if (what === 'end') expect(steps).toEqual([{ type: 'end' }])
    else if (what === 'epoch') expect(dataOf(steps)).toEqual([{ type: 'gap', gap: expect.objectContaining({ reason: 'epoch', missed: null }) }, 2, 3])
    else expect(dataOf(steps)).toEqual([2, 3])
    reader.close()
    expect(hub.size).toBe(0)
  })

  it('keeps a reader\'s position when its read fails, reports the failure once, and repeats the read until the driver is back', async () => {
    const clock = new VirtualClock()
    clock.install()
    onTestFinished(() => {
      vi.unstubAllGlobals()
      vi.restoreAllMocks()
    })
    const driver = createFailingDriver(createMemoryDriver(DEFAULTS))
    const hub = new Hub(driver)
    // More than the first read of a channel returns.
    const long = 'x'.repeat(200_000)
    for (let i = 1; i <= 4; i++) await driver.append('c', [{ data: JSON.stringify(i + long) }], keep(10))
    const reader = await hub.reader('c', { kind: 'count', offset: 1 }, 'start')
    expect(reader.resumed).toBe(true)
    driver.fail('all')
    expect(await reader.step()).toMatchObject({ type: 'messages' })
    expect(reader.offset).toBe(2)
    const pull = new Pull(reader)
    expect(await pull.next()).toMatchObject({ type: 'unreachable', error: { code: 'DRIVER_UNAVAILABLE' } })
    const next = pull.next()
    const { failed } = driver
    await clock.advance(60_000)
    // The reader and its channel each retry after one to two seconds.
    expect(driver.failed - failed).toSatisfy(repeats => repeats > 55 && repeats < 130)
    expect([reader.step(), reader.offset]).toEqual([undefined, 2])
    driver.heal()
    await clock.advance(2_000)
    expect(dataOf([(await next)!])).toEqual([3 + long])
    // Another outage gives another report.
    driver.fail('all')
    expect(await pull.next()).toMatchObject({ type: 'unreachable' })
    driver.heal()
    const last = pull.next()
    await clock.advance(500)
    expect(dataOf([(await last)!])).toEqual([4 + long])
    // A reader that closes during an outage leaves nothing.
    const behind = await hub.reader('c', { kind: 'count', offset: 2 }, 'start')
    driver.fail('all')
    expect(await behind.step()).toMatchObject({ type: 'unreachable' })
    behind.close()
    const waits = pull.next()
    pull.close()
    expect([await waits, await pull.next()]).toEqual([undefined, undefined])
    const { failed: until } = driver
    await clock.advance(60_000)
    expect([driver.failed - until, hub.size, clock.pending]).toEqual([0, 0, 0])
  })
})

describe('hub: memory and length', () => {
  // @guarantee long-replay
  it('a reader far behind the messages in memory gets all messages from the log', async () => {
    const driver = createMemoryDriver(DEFAULTS)
    const hub = new Hub(driver)
    const early = await hub.reader('c', undefined, 'start')
    for (let i = 1; i <= 5_000; i++) await driver.append('c', [{ data: `${i}` }], keep(10_000))
    const late = await hub.reader('c', { kind: 'count', offset: 100 }, 'start')
    expect(dataOf(await drain(early))).toEqual(Array.from({ length: 5_000 }, (_, i) => i + 1))
    expect(dataOf(await drain(late))).toEqual(Array.from({ length: 4_900 }, (_, i) => i + 101))
    early.close()
    late.close()
  })

  it.each([
    ['is unchanged', async () => {}, [1, 2, 3], 0],
    ['has grown', (driver: LogDriver) => driver.append('c', [{ data: '4' }], keep(10)), [1, 2, 3, 4], 1],
    ['has lost its oldest', (driver: LogDriver) => driver.append('c', [{ data: '4' }, { data: '5' }], keep(3)), [3, 4, 5], 2],
    ['was deleted and has begun again', async (driver: LogDriver) => {
      await driver.remove('c')
      await driver.append('c', [{ data: '7' }, { data: '8' }, { data: '9' }, { data: '10' }], keep(10))
    }, [7, 8, 9, 10], 5],
  ] as const)('keeps recent messages when the last reader leaves: a returning reader of a log that %s reads only new ones', async (_, meanwhile, expected, read) => {
    const driver = watchedDriver(marked(createMemoryDriver(DEFAULTS)))
    const hub = new Hub(driver)
    const first = await hub.reader('c', undefined, 'start')
    await driver.append('c', [{ data: '1' }, { data: '2' }, { data: '3' }], keep(10))
    expect(dataOf(await drain(first))).toEqual([1, 2, 3])
    first.close()
    await meanwhile(driver)
    driver.entriesRead = 0
    const back = await hub.reader('c', undefined, 'start')
    expect(dataOf(await drain(back))).toEqual(expected)
    expect(driver.entriesRead).toBe(read)
    back.close()
    expect(hub.size).toBe(0)
  })

  it.each([
    ['was deleted and has begun again', [7, 8], (driver: LogDriver) => driver.append('c', [{ data: '7' }, { data: '8' }], keep(10))],
    ['is empty', [], async () => {}],
    ['has dropped its oldest', [3, 4], undefined],
  ] as const)('a new reader of a channel that %s gets no removed message, also while other readers hold it in memory and no notice has arrived', async (_, expected, anew) => {
    const inner = watchedDriver(marked(createMemoryDriver(DEFAULTS)), { mute: true })
    const hub = new Hub(inner)
    await inner.append('c', [{ data: '1' }, { data: '2' }], keep(10))
    const reads = await hub.reader('c', undefined, 'start')
    const { position } = reads
    expect(dataOf(await drain(reads))).toEqual([1, 2])
    if (anew) {
      await inner.remove('c')
      await anew(inner)
    }
    else {
      await inner.append('c', [{ data: '3' }, { data: '4' }], keep(2))
    }
    for (const asked of [undefined, parsePositionRequest(position)]) {
      const comes = await hub.reader('c', asked, 'start')
      const told = asked ? [{ type: 'gap', gap: expect.objectContaining({ reason: anew ? 'epoch' : 'trimmed' }) }] : []
      expect(dataOf(await drain(comes))).toEqual([...told, ...expected])
      comes.close()
    }
    reads.close()
  })

  // @guarantee bounded
  it('recent messages of all channels are bounded, and the least recently used channel is evicted', () => {
    const memory = new RecentMemory(10_000)
    const all = new Map<string, RecentMessages>()
    for (let n = 1; n <= 20; n++) {
      const recent = new RecentMessages('e', 0, { messages: 100, bytes: 1e6 })
      recent.push([{ offset: 1, data: 'x'.repeat(500) }])
      all.set(`c${n}`, recent)
      memory.keep(`c${n}`, recent)
      // The first one is in constant use.
      memory.keep('c1', all.get('c1')!)
      expect(memory.bytes).toBeLessThanOrEqual(10_000)
    }
    const kept = [...all].filter(([name]) => memory.get(name)).map(([name]) => name)
    expect(kept).toContain('c1')
    expect(kept.length).toBeGreaterThan(3)
    expect(kept.slice(1)).toEqual([...all.keys()].slice(1 - kept.length))
    expect([...all].filter(([, { size }]) => size > 0).map(([name]) => name)).toEqual(kept)
    for (const name of all.keys()) memory.delete(name)
    expect(memory.bytes).toBe(0)
  })

  it('encodes a message once for all readers at the same position', async () => {
    const driver = createMemoryDriver(DEFAULTS)
    const hub = new Hub(driver)
    const readers = await Promise.all([1, 2, 3].map(() => hub.reader('c', undefined, 'start')))
    await driver.append('c', [{ data: '1' }, { data: '2' }], keep(10))
    const runs = readers.map(reader => (reader.step() as Extract<ReaderStep, { type: 'messages' }>).run)
    expect(new Set(runs).size).toBe(1)
    expect(new Set(runs.map(run => run.bytes)).size).toBe(1)
    for (const reader of readers) reader.close()
  })

  // @guarantee bounded
  it('releases messages that it no longer holds for readers', async () => {
    const driver = watchedDriver(undefined, { mute: true })
    const hub = new Hub(driver)
    const reader = await hub.reader('c', undefined, 'start')
    const { epoch } = await readState(driver, 'c')
    const watch = collected()
    for (let offset = 1; offset <= 100; offset++) {
      const entry = { offset, data: JSON.stringify('x'.repeat(100_000)) }
      watch.add(entry)
      driver.notify({ type: 'append', epoch, entries: [entry] })
    }
    // The hub holds 1 MiB, which is ten of them.
    await watch.atLeast(85)
    reader.close()
  })

  it('finds a lost producer on request, also when its timers have gone', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    let now = performance.now()
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now)
    try {
      const driver = createMemoryDriver(DEFAULTS)
      const hub = new Hub(driver)
      await driver.lease('c', { type: 'acquire', token: 'a', leaseMs: 30, onLost: 'fail' }, DEFAULTS)
      const reader = await hub.reader('c', undefined, 'start')
      hub.lookForLost()
      await turns(5)
      expect(reader.closing).toBeNull()
      now += 40
      await turns(5)
      expect(reader.closing).toBeNull()
      hub.lookForLost()
      await turns(5)
      expect(reader.step()).toMatchObject({ type: 'error', error: { code: 'PRODUCER_LOST' } })
      reader.close()
    }
    finally {
      clock.mockRestore()
      vi.useRealTimers()
    }
  })

  it('finds by itself that a producer is lost and that another continues its channel, whatever notices it misses', async () => {
    const driver = createMemoryDriver(DEFAULTS)
    const hub = new Hub({ ...driver, subscribe: (channel, listener) => driver.subscribe(channel, notice => notice.type === 'append' && listener(notice)) })
    const lease = { leaseMs: 30, onLost: 'restart' } as const
    await driver.lease('c', { type: 'acquire', token: 'a', ...lease }, DEFAULTS)
    await driver.append('c', [{ data: '1' }, { data: '2' }], DEFAULTS)
    const reader = await hub.reader('c', undefined, 'start')
    await eventually(() => expect(reader.closing).toMatchObject({ error: { code: 'PRODUCER_LOST', retry: true } }))

    expect((await driver.lease('c', { type: 'acquire', token: 'b', ...lease, leaseMs: 60_000 }, DEFAULTS)).held).toBe(true)
    await driver.append('c', [{ data: '3' }], DEFAULTS)
    await eventually(() => expect(reader.closing).toBeNull())
    const seen: string[] = []
    for (let step = await reader.step(); step; step = await reader.step()) {
      expect(step.type).toBe('messages')
      if (step.type === 'messages') seen.push(...step.run.entries.map(({ data }) => String(unpackData(data))))
    }
    expect(seen).toEqual(['1', '2', '3'])
    reader.close()
    await driver.close()
  })
})
