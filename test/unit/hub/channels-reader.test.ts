import { createParser } from 'eventsource-parser'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readState } from '../../../src/runtime/server/drivers/capabilities'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { unpackData } from '../../../src/runtime/server/drivers/packed-data'
import type { LogDriver } from '../../../src/runtime/server/drivers/types'
import type { ReaderStep } from '../../../src/runtime/server/hub/channel-reader'
import type { ChannelsReader, IdForm } from '../../../src/runtime/server/hub/channels-reader'
import { Hub } from '../../../src/runtime/server/hub/hub'
import { parseWhole } from '../../../src/runtime/shared/whole-position'
import { chaosDriver, watchedDriver } from '../../support/drivers'
import type { Random } from '../../support/random'
import { createRandom, turns } from '../../support/random'
import { Truth } from '../../support/reader-model'
import { SeveralClient } from '../../support/several-model'

const DEFAULTS = { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }
const keep = (maxMessages: number) => ({ ...DEFAULTS, maxMessages })

function open(hub: Hub, keys: readonly string[], asked?: string, ids: IdForm = 'whole', from: 'start' | 'now' = 'start'): Promise<ChannelsReader> {
  const parts = asked === undefined ? undefined : parseWhole(asked, keys)
  return hub.readers(keys.map((key, index) => ({ key, name: key, from, request: parts?.[index]!.request, asked: parts?.[index]!.text })), ids)
}

/** A connection, as a stream pulls it and a client reads it: up to a cut at any block, also in the middle of what is one write. */
class Pulled {
  reader?: ChannelsReader
  isClosed = false
  failed?: unknown
  over = false

  constructor(readonly client: SeveralClient, private blocksLeft: number) {}

  async open(hub: Hub, keys: string[], random: Random): Promise<void> {
    const reader = await open(hub, keys, this.client.ask(keys, random), this.client.ids)
    if (this.isClosed) return reader.close()
    this.reader = reader
    reader.wake = () => this.pump()
    this.client.open(reader.position, reader.resumed, reader.starts)
    this.pump()
  }

  pump(): void {
    try {
      for (let step = this.reader!.step(); step && !this.isClosed; step = this.reader!.step()) this.take(step)
    }
    catch (error) {
      this.failed = error
      this.close()
    }
  }

  take(step: ReaderStep): void {
    const { client, reader } = this
    const { key } = reader!
    if (step.type === 'messages') {
      // What is sent is encoded when the step comes, whole, and may be cut anywhere.
      const text = new TextDecoder().decode(reader!.encode(step.run))
      createParser({ onEvent: ({ id, event, data }) => {
        if (this.isClosed || this.blocksLeft-- <= 0) return this.close()
        client.message(id!, event!, JSON.parse(data))
      } }).feed(text)
      return
    }
    if (this.blocksLeft-- <= 0) return this.close()
    if (step.type === 'gap') client.gap(key!, step.gap, reader!.id)
    else if (key !== undefined) client.end(key)
    else this.end()
  }

  end(): void {
    this.over = true
    this.close()
    if (!this.client.ended) this.client.fail('was told that all are over, and one is not')
  }

  close(): void {
    this.isClosed = true
    this.reader?.close()
  }
}

type Op
  = | { op: 'publish', channel: number, count: number, key: boolean }
    | { op: 'delete' | 'end' | 'fail', channel: number }
    | { op: 'come', set: number, own: boolean, blocks: number }
    | { op: 'cut' | 'back', who: number, set: number, blocks: number }
    | { op: 'deliver' }
    | { op: 'wait', turns: number, microtasks: number }

const channel = fc.nat(7)
const set = fc.integer({ min: 1, max: 255 })
/** Number of blocks that arrive before a connection is cut; most are not cut. */
const blocks = fc.oneof({ weight: 2, arbitrary: fc.nat(12) }, { weight: 3, arbitrary: fc.constant(Infinity) })
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ op: fc.constant('publish' as const), channel, count: fc.integer({ min: 1, max: 6 }), key: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom('delete' as const, 'end' as const, 'fail' as const), channel }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('come' as const), set, own: fc.boolean(), blocks }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constantFrom('cut' as const, 'back' as const), who: fc.nat(9), set, blocks }) },
  { weight: 3, arbitrary: fc.constant({ op: 'deliver' as const }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('wait' as const), turns: fc.nat(3), microtasks: fc.nat(6) }) },
)

const total = { gaps: 0, invalid: 0, messages: 0, resets: 0, over: 0 }

/** Runs one interleaving on so many channels, and checks that each client has received everything. */
async function run(ops: Op[], count: number, maxMessages: number, seed: number): Promise<void> {
  const random = createRandom(seed)
  const memory = createMemoryDriver(DEFAULTS)
  const driver = chaosDriver(memory, random)
  const hub = new Hub(driver)
  const keys = Array.from({ length: count }, (_, index) => `k${index}`)
  const truths = new Map(keys.map(key => [key, new Truth()]))
  const ended = new Set<string>()
  const clients: { client: SeveralClient, pulled: Pulled }[] = []
  const opening: Promise<void>[] = []
  let published = 0
  for (const key of keys) {
    await memory.subscribe(key, (notice) => {
      if (notice.type === 'append') for (const { offset, data } of notice.entries) truths.get(key)!.published(notice.epoch, offset, JSON.parse(unpackData(data)), maxMessages)
    })
  }
  const keyOf = (index: number) => keys[index % count]!
  const setOf = (bits: number) => {
    const chosen = keys.filter((_, index) => bits >> index & 1)
    return random.shuffle(chosen.length ? chosen : keys)
  }
  const connect = (entry: { client: SeveralClient, pulled: Pulled }, set: string[]) => {
    opening.push(entry.pulled.open(hub, set, random).catch(error => void (entry.pulled.failed = error)))
  }
  for (const step of ops) {
    switch (step.op) {
      case 'publish': {
        const key = keyOf(step.channel)
        if (ended.has(key)) break
        // Some are so large that a page, or what a reader is handed at a time, has room for only a few.
        const pad = random.chance(0.1) ? 'x'.repeat(30_000) : ''
        await driver.append(key, Array.from({ length: step.count }, () => ({ data: JSON.stringify(`${key} ${++published}${pad}`), event: random.chance(0.3) ? 'name/d' : undefined, key: step.key ? `i${published % 7}` : undefined })), keep(maxMessages))
        break
      }
      case 'delete':
        ended.delete(keyOf(step.channel))
        await driver.remove(keyOf(step.channel))
        break
      case 'end':
      case 'fail':
        ended.add(keyOf(step.channel))
        await driver.finish(keyOf(step.channel), step.op === 'end' ? {} : { error: { code: 'X', statusCode: 500, message: 'x', retry: false } }, keep(maxMessages))
        break
      case 'come': {
        const client = new SeveralClient(key => truths.get(key)!, `client ${clients.length}`, step.own ? 'own' : 'whole')
        const entry = { client, pulled: new Pulled(client, step.blocks) }
        clients.push(entry)
        connect(entry, setOf(step.set))
        break
      }
      case 'cut':
        clients[step.who % clients.length]?.pulled.close()
        break
      case 'back': {
        const entry = clients[step.who % clients.length]
        if (!entry?.pulled.isClosed) break
        if (entry.pulled.failed) throw entry.pulled.failed
        entry.pulled = new Pulled(entry.client, step.blocks)
        connect(entry, random.chance(0.5) && entry.client.keys.length ? entry.client.keys : setOf(step.set))
        break
      }
      case 'deliver':
        driver.deliver()
        break
      case 'wait':
        await turns(step.turns, step.microtasks)
    }
  }
  await Promise.all(opening)
  // All clients reconnect, and the connection to the store is whole again.
  for (const entry of clients) {
    if (entry.pulled.failed) throw entry.pulled.failed
    entry.pulled.close()
    entry.pulled = new Pulled(entry.client, Infinity)
    connect(entry, entry.client.keys)
  }
  await Promise.all(opening)
  driver.settle()
  const states = new Map(await Promise.all(keys.map(async key => [key, await readState(memory, key)] as const)))
  const isThere = (client: SeveralClient) => client.keys.every((key) => {
    const { epoch, last, closing } = states.get(key)!
    return client.client(key).position === `${epoch}.${last}` && (!closing || client.client(key).ended)
  })
  const behind = () => clients.filter(({ client, pulled }) => !pulled.failed && !isThere(client))
  for (let i = 0; i < 200 && behind().length > 0; i++) await turns(1)
  for (const { pulled } of clients) if (pulled.failed) throw pulled.failed
  for (const { client } of behind()) client.fail(`stands at ${client.lastId}, but the logs reach ${[...states].map(([key, { epoch, last, closing }]) => `${key}:${epoch}.${last}${closing ? ' (ended)' : ''}`).join()}`)
  for (const { client, pulled } of clients) {
    if (pulled.over !== client.ended) client.fail(`all are ${client.ended ? '' : 'not '}over, and the reader says otherwise`)
    pulled.close()
    total.gaps += client.gaps
    total.invalid += client.invalid
    total.messages += client.messages
    total.resets += client.resets
    total.over += Number(pulled.over)
  }
  if (hub.size !== 0) throw new Error(`${hub.size} channels are left in the hub`)
  await driver.close()
}

describe('several channels: every interleaving', () => {
  // @guarantee order-once
  it('each of several channels exactly once and in order, or an exact gap that names it, with IDs that name what was delivered and nothing else', { timeout: 120_000 }, async () => {
    await fc.assert(fc.asyncProperty(fc.array(op, { minLength: 20, maxLength: 80, size: 'max' }), fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 12 }), fc.nat(), run), { numRuns: 1_000 })
    // The runs were of the kind that the test is about.
    expect(total.gaps).toBeGreaterThan(500)
    expect(total.invalid).toBeGreaterThan(50)
    expect(total.messages).toBeGreaterThan(10_000)
    expect(total.resets).toBeGreaterThan(100)
    expect(total.over).toBeGreaterThan(20)
  })
})

/** Longer than the opening read of a channel, so that the rest has to be read from the log. */
const LONG = 'x'.repeat(60_000)
const long = async (driver: LogDriver, key: string, count: number) => {
  for (let n = 1; n <= count; n++) await driver.append(key, [{ data: JSON.stringify(`${key} ${n} ${LONG}`) }], DEFAULTS)
}
const textOf = (reader: ChannelsReader, step: ReaderStep | undefined) => step?.type === 'messages' ? new TextDecoder().decode(reader.encode(step.run)).replaceAll(/ x+/g, '') : step?.type
const seenIn = (reader: ChannelsReader, step: ReaderStep | undefined) => [...(textOf(reader, step) ?? '').matchAll(/data: "(.+?)"/g)].map(([, data]) => data)

describe('several channels: turns and reads', () => {
  it('pages are taken in turn, whatever one channel has', async () => {
    const driver = createMemoryDriver(DEFAULTS)
    const hub = new Hub(driver)
    // From memory: the reader was there before the messages.
    const reader = await open(hub, ['a', 'b', 'c'])
    for (const key of ['a', 'b']) await long(driver, key, 6)
    await driver.append('c', [{ data: '"c 1"' }], DEFAULTS)
    const keys: (string | undefined)[] = []
    while (keys.length < 7) {
      reader.step()
      keys.push(reader.key)
    }
    expect(keys).toEqual(['a', 'b', 'c', 'a', 'b', 'a', 'b'])
    reader.close()
  })

  it('while one is read from the log the others continue, one read is in flight at a time, and one page at most waits for the socket', async () => {
    const driver = watchedDriver()
    const hub = new Hub(driver)
    for (const key of ['a', 'b']) await long(driver, key, 12)
    const reader = await open(hub, ['a', 'b', 'c'])
    await turns(3)
    let wakes = 0
    reader.wake = () => void wakes++
    // What was read at the opening.
    const first = [reader.step(), reader.step()].map(step => step?.type)
    expect(first).toEqual(['messages', 'messages'])
    driver.hold()
    const { reads } = driver
    expect(reader.step()).toBeUndefined()
    expect(driver.reads - reads).toBe(1)
    for (let n = 1; n <= 3; n++) {
      await driver.append('c', [{ data: `"c ${n}"` }], DEFAULTS)
      await turns(1)
      const step = reader.step()
      expect([reader.key, seenIn(reader, step)]).toEqual(['c', [`c ${n}`]])
    }
    expect(driver.reads - reads).toBe(1)
    const before = reader.position
    const woken = wakes
    driver.release()
    // The socket is full: no step is pulled. No ID may name an undelivered message.
    await turns(3)
    expect([driver.reads - reads, reader.position, wakes > woken]).toEqual([1, before, true])
    const seen = seenIn(reader, reader.step())
    expect([seen[0], reader.key]).toEqual(['a 3', 'a'])
    // The next turn to read is the other's.
    expect(reader.step()).toBeUndefined()
    await turns(3)
    expect([reader.step()?.type, reader.key]).toEqual(['messages', 'b'])
    reader.close()
    expect(hub.size).toBe(0)
  })

  it('an ID never names more than what was delivered, at whatever moment another channel has something', async () => {
    for (let microtasks = 0; microtasks < 12; microtasks++) {
      const driver = watchedDriver()
      const hub = new Hub(driver)
      await long(driver, 'a', 12)
      const reader = await open(hub, ['a', 'b'])
      await turns(3)
      reader.step()
      driver.hold()
      expect(reader.step()).toBeUndefined()
      await driver.append('b', [{ data: '"b 1"' }], DEFAULTS)
      await turns(1)
      driver.release()
      await turns(0, microtasks)
      const step = reader.step()!
      const [, id] = /id: (.+)/.exec(textOf(reader, step)!)!
      const [a, b] = parseWhole(id!, ['a', 'b']).map(({ request }) => (request as { offset: number }).offset)
      expect([a, b]).toEqual(reader.key === 'b' ? [2, 1] : [3, 0])
      reader.close()
    }
  })

  it('bytes with IDs of one channel are shared by all readers that give it the same key, and by no others', async () => {
    const driver = createMemoryDriver(DEFAULTS)
    const hub = new Hub(driver)
    const readers = [await open(hub, ['c', 'd'], undefined, 'own'), await open(hub, ['other', 'c'], undefined, 'own'), await open(hub, ['c', 'd'])]
    const [another] = await Promise.all([hub.readers([{ key: 'x', name: 'c', request: undefined, from: 'start' }], 'own'), driver.append('c', [{ data: '1', event: 'e' }], DEFAULTS)])
    const bytes = [...readers, another].map(reader => reader.encode((reader.step() as Extract<ReaderStep, { type: 'messages' }>).run))
    const { epoch } = await readState(driver, 'c')
    expect(bytes[0]).toBe(bytes[1])
    expect(bytes.map(chunk => new TextDecoder().decode(chunk))).toEqual([
      `id: c:${epoch}.1\nevent: c/e\ndata: 1\n\n`,
      `id: c:${epoch}.1\nevent: c/e\ndata: 1\n\n`,
      `id: c:${epoch}.1,d:${(await readState(driver, 'd')).epoch}.0\nevent: c/e\ndata: 1\n\n`,
      `id: x:${epoch}.1\nevent: x/e\ndata: 1\n\n`,
    ])
    for (const reader of [...readers, another]) reader.close()
    expect(hub.size).toBe(0)
  })

  it('where one cannot be opened, none is, and nothing is left', async () => {
    const driver = createMemoryDriver(DEFAULTS)
    const { read } = driver
    driver.read = (channel, ...args) => channel === 'b' ? Promise.reject(new Error('down')) : turns(2).then(() => read(channel, ...args))
    const hub = new Hub(driver)
    await expect(open(hub, ['a', 'b', 'c'])).rejects.toThrow('down')
    expect(hub.size).toBe(0)
  })
})
