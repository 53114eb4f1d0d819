import { getEventListeners } from 'node:events'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import type { Channel } from '../../../src/runtime/server/channel/channel'
import type { SSEBatch } from '../../../src/runtime/shared/protocol'
import { SSEError } from '../../../src/runtime/shared/errors'
import { eventually, LOADED_MS } from '../../support/conditions'
import { MovingClock } from '../../support/moving-clock'
import { turns } from '../../support/random'
import type { FailingDriver } from '../../../src/runtime/test'
import { createFailingDriver } from '../../../src/runtime/test'
import { SSEReader } from '../../support/read-sse'
import { NOTHING, useSSEServer } from '../../support/sse-server'

let driver: FailingDriver
const server = useSSEServer({ retryMs: 200, pollWaitMs: 3_000 }, { driver: () => driver = createFailingDriver(createMemoryDriver({ maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 })) })
beforeEach(() => {
  server.route('/c/:name', event => server.channel(event.context.params!.name!))
  server.route('/now/:name', event => server.channel(event.context.params!.name!), { from: 'now' })
})

const poll = (query = '', headers: Record<string, string> = {}, path = '/c/x') => fetch(`${server.url}${path}?transport=poll&waitMs=0${query}`, { headers })
const batch = async (...args: Parameters<typeof poll>): Promise<SSEBatch> => {
  const response = await poll(...args)
  expect(response.status).toBe(200)
  return response.json() as Promise<SSEBatch>
}
const epochOf = async (name = 'x') => (await server.channel(name).info()).epoch
async function publish(count: number, retention?: { maxMessages: number }): Promise<string> {
  const channel = server.channel<number>('x', retention && { retention })
  for (let i = 1; i <= count; i++) await channel.publish(i, i % 2 ? {} : { event: 'even' })
  return epochOf()
}

describe('a client that leaves while its poll waits', () => {
  it('runs no further read', async () => {
    const leave = new AbortController()
    const answer = fetch(`${server.url}/c/x?transport=poll`, { signal: leave.signal }).catch(() => 'left')
    // The page, the read when a channel is opened, and one more when its subscription is acknowledged.
    await eventually(() => expect([server.left().channels, driver.calls.read]).toEqual([1, 3]))
    leave.abort()
    expect(await answer).toBe('left')
    await eventually(() => expect(server.left()).toEqual(NOTHING))
    await turns(5)
    expect(driver.calls.read).toBe(3)
  })

  it('during the first read starts no subscription', async () => {
    driver.slow('read', { times: 1, delayMs: 100 })
    const leave = new AbortController()
    const answer = fetch(`${server.url}/c/x?transport=poll`, { signal: leave.signal }).catch(() => 'left')
    await eventually(() => expect(driver.calls.read).toBe(1))
    leave.abort()
    expect(await answer).toBe('left')
    await new Promise(resolve => setTimeout(resolve, 200))
    expect([driver.calls.read, driver.calls.subscribe]).toEqual([1, 0])
  })
})

describe('a batch', () => {
  it('has every field of the contract, as JSON that may not be cached', async () => {
    const epoch = await publish(2)
    const response = await poll()
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await response.text()).toBe(JSON.stringify({ type: 'batch', messages: [{ id: `${epoch}.1`, data: 1 }, { id: `${epoch}.2`, event: 'even', data: 2 }], position: `${epoch}.2`, ended: false, gap: null, pollMs: 0 }, null, 2).replace(/\n\s*/g, '').replace(/": /g, '":')
      .replace(/,\s+"/g, ',"'))
  })

  it('keeps the data as published, short or long: other publishers may write numbers that JavaScript rounds', async () => {
    const data = ['12345678901234567890', '1e400', `["\u2028","${'🙂'.repeat(2_000)}",{"__proto__":{"admin":true}}]`]
    await driver.append('x', data.map(data => ({ data })), { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 })
    const text = await (await poll()).text()
    for (const json of data) expect(text).toContain(`"data":${json}}`)
    expect((JSON.parse(text) as SSEBatch).messages.map(({ data }) => data)).toEqual(data.map(json => JSON.parse(json)))
  })

  it('is chosen by Accept as well', async () => {
    const epoch = await publish(1)
    const response = await fetch(`${server.url}/c/x?waitMs=0`, { headers: { accept: 'application/json' } })
    expect(await response.json()).toMatchObject({ type: 'batch', position: `${epoch}.1` })
  })

  it.each<[string, (epoch: string) => string, number[]]>([
    ['start', () => 'start', [1, 2, 3]], ['now', () => 'now', []], ['an id', epoch => `${epoch}.2`, [3]], ['before the first', epoch => `${epoch}.0`, [1, 2, 3]],
    ['a bare number', () => '1', [2, 3]], ['a bare 0 on a log that has all', () => '0', [1, 2, 3]], ['the end', epoch => `${epoch}.3`, []],
  ])('from %s, in the query or the header', async (_, position, expected) => {
    const epoch = await publish(3)
    for (const result of [await batch(`&position=${position(epoch)}`), await batch('', { 'last-event-id': position(epoch) })]) {
      expect(result.messages.map(({ data }) => data)).toEqual(expected)
      expect(result).toMatchObject({ position: `${epoch}.3`, gap: null, ended: false })
    }
  })

  it('starts for a newcomer where the route is configured to start', async () => {
    const epoch = await publish(3)
    expect((await batch()).messages).toHaveLength(3)
    expect(await batch('', {}, '/now/x')).toMatchObject({ messages: [], position: `${epoch}.3`, gap: null })
    expect((await batch('&position=', {}, '/now/x')).messages).toEqual([])
    expect((await batch('&position=start', {}, '/now/x')).messages).toHaveLength(3)
  })

  it('the header wins over the query', async () => {
    const epoch = await publish(3)
    expect((await batch('&position=1', { 'last-event-id': `${epoch}.2` })).messages.map(({ data }) => data)).toEqual([3])
  })

  it('is split by count and by size, without a loss', async () => {
    const channel = server.channel<string>('x', { retention: { maxMessages: 10_000 } })
    for (let i = 1; i <= 2_500; i++) await channel.publish(`${i}`)
    for (let i = 2_501; i <= 2_530; i++) await channel.publish(`${i} ${'x'.repeat(100_000)}`)
    const seen: number[] = []
    let asked = 0
    for (let position = '0'; seen.length < 2_530; asked++) {
      const result = await batch(`&position=${position}`)
      expect(result.messages.length).toBeGreaterThan(0)
      seen.push(...result.messages.map(({ data }) => Number.parseInt(data as string)))
      position = result.position
    }
    expect(seen).toEqual(Array.from({ length: 2_530 }, (_, i) => i + 1))
    expect(asked).toBeGreaterThan(4)
  })
})

describe('gaps, on both transports', () => {
  const cases: [string, (epoch: string) => string, { reason: string, missed: number | null }][] = [
    ['trimmed', epoch => `${epoch}.2`, { reason: 'trimmed', missed: 5 }],
    ['trimmed, from a bare 0', () => '0', { reason: 'trimmed', missed: 7 }],
    ['another epoch', () => 'eanother.2', { reason: 'epoch', missed: null }],
    ['a number beyond the end', () => '11', { reason: 'invalid', missed: null }],
    ['an id beyond the end', epoch => `${epoch}.11`, { reason: 'invalid', missed: null }],
  ]
  // @guarantee bad-position
  it.each(cases)('%s', async (_, position, gap) => {
    const epoch = await publish(10, { maxMessages: 3 })
    const asked = position(epoch)
    const expected = { ...gap, position: `${epoch}.7` }
    for (const result of [await batch(`&position=${asked}`), await batch('', { 'last-event-id': asked })]) {
      expect(result).toMatchObject({ gap: expected, position: `${epoch}.10` })
      expect(result.messages.map(({ data }) => data)).toEqual([8, 9, 10])
    }
    await using reader = await SSEReader.open(`${server.url}/c/x`, { headers: { 'last-event-id': asked } })
    await reader.until(r => r.data.length === 3)
    expect(reader.controls).toEqual([{ type: 'open', heartbeatMs: 15_000, position: asked, resumed: false }, { type: 'gap', ...expected }])
    // A browser that is cut before the gap requests the same position again; one that is cut after it requests the position of the gap.
    expect(reader.events.slice(0, 3).map(({ id }) => id)).toEqual([asked, `${epoch}.7`, `${epoch}.8`])
  })

  // @guarantee bad-position
  it('`start` is the oldest retained position, without a gap', async () => {
    const epoch = await publish(10, { maxMessages: 3 })
    expect(await batch('&position=start')).toMatchObject({ gap: null, position: `${epoch}.10`, messages: [{ data: 8 }, { data: 9 }, { data: 10 }] })
    await using reader = await SSEReader.open(`${server.url}/c/x?position=start`)
    await reader.until(r => r.data.length === 3)
    expect(reader.controls).toEqual([{ type: 'open', heartbeatMs: 15_000, position: `${epoch}.7`, resumed: false }])
  })

  const malformed = ['abc', '1.5', '-0', '-01', '-1.5', '01', 'e1.', '.5', 'e1.-2', 'e1.1e3', '1e3', 'START', ' 1', `${'e'.repeat(200)}.1`, '99999999999999999999']
  // @guarantee bad-position
  it.each(malformed)('a malformed query is a 400 that lists what is allowed: %j', async (position) => {
    await publish(1)
    for (const transport of ['stream', 'poll']) {
      const response = await fetch(`${server.url}/c/x?transport=${transport}&waitMs=0&position=${encodeURIComponent(position)}`)
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ message: expect.stringContaining('`start`, `now`, a message ID'), data: { code: 'INVALID_POSITION' } })
    }
  })

  // @guarantee bad-position
  it.each(malformed.map(text => text.trim()))('a malformed header is a gap, because a browser never reconnects after a 400: %j', async (position) => {
    if (position === '1') return
    const epoch = await publish(2)
    const gap = { reason: 'invalid', missed: null, position: `${epoch}.0` }
    expect(await batch('', { 'last-event-id': position })).toMatchObject({ gap, messages: [{ data: 1 }, { data: 2 }] })
    await using reader = await SSEReader.open(`${server.url}/c/x`, { headers: { 'last-event-id': position } })
    await reader.until(r => r.data.length === 2)
    expect(reader.controls).toEqual([{ type: 'open', heartbeatMs: 15_000, position: `${epoch}.0`, resumed: false }, { type: 'gap', ...gap }])
  })

  it.each([['position', 'a%0Ab'], ['position', 'a%00'], ['position=1&position', '2'], ['waitMs', 'x'], ['waitMs', '-1'], ['waitMs', '1.5'], ['transport', 'carrier-pigeon']])('refuses the query %s=%s', async (name, value) => {
    const response = await fetch(`${server.url}/c/x?${name}=${value}`)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ data: { code: 'INVALID_QUERY' } })
  })

  it('a deleted channel is a gap `epoch` for open and returning readers', async () => {
    const channel = server.channel<number>('x')
    const epoch = await publish(2)
    await using reader = await SSEReader.open(`${server.url}/c/x`)
    await reader.until(r => r.data.length === 2)
    const waiting = fetch(`${server.url}/c/x?transport=poll&position=${epoch}.2`)
    await eventually(() => expect(server.context.hub.size).toBe(1))
    await channel.delete()
    await reader.until(r => r.controls.length === 2)
    const second = await epochOf()
    expect(reader.controls[1]).toEqual({ type: 'gap', reason: 'epoch', missed: null, position: `${second}.0` })
    expect(await (await waiting).json()).toMatchObject({ gap: { reason: 'epoch', missed: null, position: `${second}.0` }, messages: [] })
    await channel.publish(7)
    await reader.until(r => r.data.length === 3)
    expect(await batch(`&position=${epoch}.2`)).toMatchObject({ gap: { reason: 'epoch', missed: null, position: `${second}.0` }, messages: [{ data: 7 }] })
  })
})

describe('waiting', () => {
  it('answers as soon as there is a message, and waits no longer than requested', async () => {
    const channel = server.channel<number>('x')
    const epoch = await publish(1)
    const waiting = fetch(`${server.url}/c/x?transport=poll&position=${epoch}.1`)
    await eventually(() => expect(server.context.hub.size).toBe(1))
    await channel.publish(2, { event: 'even' })
    expect(await (await waiting).json()).toEqual({ type: 'batch', messages: [{ id: `${epoch}.2`, event: 'even', data: 2 }], position: `${epoch}.2`, ended: false, gap: null, pollMs: 0 })
    const before = performance.now()
    expect(await (await fetch(`${server.url}/c/x?transport=poll&position=${epoch}.2&waitMs=50`)).json()).toMatchObject({ messages: [], position: `${epoch}.2` })
    expect(performance.now() - before).toBeGreaterThanOrEqual(45)
    expect(performance.now() - before).toBeLessThan(LOADED_MS)
    await eventually(() => expect(server.context.hub.size).toBe(0))
  })

  it.each(['end', 'fail'])('wakes when the channel ends: %s', async (ending) => {
    const channel = server.channel<number>('x')
    const epoch = await publish(1)
    const waiting = fetch(`${server.url}/c/x?transport=poll&position=${epoch}.1`)
    await eventually(() => expect(server.context.hub.size).toBe(1))
    if (ending === 'end') await channel.end()
    else await channel.fail(new SSEError('BROKEN', 'It broke.'))
    expect(await (await waiting).json()).toEqual({
      type: 'batch', messages: [], position: `${epoch}.1`, ended: true, gap: null, pollMs: 0,
      ...ending === 'fail' && { error: { code: 'BROKEN', statusCode: 500, message: 'It broke.', retry: false } },
    })
  })

  it('waits at most `pollWaitMs`; 0 answers at once, with the delay before the next poll', async () => {
    await publish(1)
    server.route('/capped', () => server.channel('x'), { pollWaitMs: 30 })
    server.route('/never', () => server.channel('x'), { pollWaitMs: 0 })
    const before = performance.now()
    await fetch(`${server.url}/capped?transport=poll&position=1&waitMs=999999999`)
    expect(performance.now() - before).toBeLessThan(LOADED_MS)
    const { pollMs } = await (await fetch(`${server.url}/never?transport=poll&position=1&waitMs=60000`)).json() as SSEBatch
    expect(pollMs).toBeGreaterThanOrEqual(100)
    expect(pollMs).toBeLessThanOrEqual(300)
  })

  it('polls and `subscribe` calls share one listener for the shutdown: each further listener would be compared with all', async () => {
    const channel = server.channel('x')
    const waiting = Array.from({ length: 50 }, () => fetch(`${server.url}/c/x?transport=poll&position=now`))
    const subscribed = Array.from({ length: 50 }, async () => {
      for await (const message of channel.subscribe({ after: 'now' })) return message.data
    })
    await eventually(() => expect(server.context.insight.polls).toBe(50))
    await eventually(() => expect(server.context.hub.channels.get('x')?.readers.size).toBe(100))
    expect(getEventListeners(server.context.closing, 'abort').length).toBeLessThan(3)
    await channel.publish('all')
    expect(await Promise.all(subscribed)).toEqual(Array.from({ length: 50 }).fill('all'))
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(Array.from({ length: 50 }).fill(200))
  })

  it('polls receive what is published without a read of the log for each', async () => {
    const channel = server.channel<number>('x')
    const epoch = await publish(1)
    const waiting = Array.from({ length: 50 }, () => fetch(`${server.url}/c/x?transport=poll&position=${epoch}.1`))
    await eventually(() => expect(server.context.hub.channels.get('x')?.readers.size).toBe(50))
    await turns(20)
    const { read } = driver.calls
    await channel.publish(2)
    const batches = await Promise.all(waiting.map(async answer => (await answer).json() as Promise<SSEBatch>))
    expect(new Set(batches.map(({ position, messages }) => `${position} ${messages.length}`))).toEqual(new Set([`${epoch}.2 1`]))
    expect(driver.calls.read - read).toBeLessThan(3)
  })

  it('a gap, more messages and an end arrive one after the other, and none is lost', async () => {
    const channel = server.channel<number>('x')
    const { url } = server
    let position = `${await publish(2)}.2`
    const seen: unknown[] = []
    const polling = (async () => {
      for (let ended = false; !ended;) {
        const batch = await (await fetch(`${url}/c/x?transport=poll&position=${position}`)).json() as SSEBatch
        seen.push(...batch.gap ? [batch.gap.reason] : [], ...batch.messages.map(({ data }) => data), ...batch.ended ? [batch.error?.code] : [])
        ;({ position, ended } = batch)
      }
    })()
    await eventually(() => expect(server.context.hub.size).toBe(1))
    await channel.delete()
    await Promise.all([7, 8, 9].map(data => channel.publish(data)))
    await channel.fail(new SSEError('BROKEN', 'It broke.'))
    await polling
    expect(seen).toEqual(['epoch', 7, 8, 9, 'BROKEN'])
  })

  it('a poll does not wait during a shutdown, and keeps its place', async () => {
    const epoch = await publish(1)
    const waiting = fetch(`${server.url}/c/x?transport=poll&position=${epoch}.1`)
    await eventually(() => expect(server.context.hub.size).toBe(1))
    await server.context.close()
    expect(await (await waiting).json()).toMatchObject({ type: 'batch', messages: [], position: `${epoch}.1`, gap: null, ended: false })
  })
})

describe('an ended channel', () => {
  it('is a batch with `ended` for a poll and 204 for a stream that has it all', async () => {
    const epoch = await publish(2)
    await server.channel('x').end()
    expect(await batch(`&position=${epoch}.1`)).toMatchObject({ ended: true, messages: [{ data: 2 }] })
    expect(await batch(`&position=${epoch}.2`)).toMatchObject({ ended: true, messages: [], gap: null })
    expect(await batch(`&position=${epoch}.2`)).not.toHaveProperty('error')
    expect((await fetch(`${server.url}/c/x?position=${epoch}.2`)).status).toBe(204)
    const reader = await SSEReader.open(`${server.url}/c/x?position=${epoch}.1`)
    await reader.finished
    expect(reader.data).toEqual([2])
    expect(reader.controls.at(-1)).toEqual({ type: 'end' })
    await eventually(() => expect([server.context.hub.size, server.context.connections.size]).toEqual([0, 0]))
  })

  it('is not `ended` in a batch that does not reach the end', async () => {
    const channel = server.channel<string>('x')
    for (let i = 0; i < 15; i++) await channel.publish(`${i}${'x'.repeat(100_000)}`)
    await channel.fail(new Error('private'))
    const first = await batch()
    expect(first.ended).toBe(false)
    expect(first).not.toHaveProperty('error')
    expect(await batch(`&position=${first.position}`)).toMatchObject({ ended: true, error: { code: 'SOURCE_FAILED', message: 'The stream failed because of an error on the server.' } })
  })

  it('failed: every reconnect gets the rest, then the error, every time', async () => {
    const epoch = await publish(2)
    await server.channel('x').fail(new SSEError('BROKEN', 'It broke.', { statusCode: 502 }))
    const error = { code: 'BROKEN', statusCode: 502, message: 'It broke.', retry: false }
    for (const [position, data] of [['0', [1, 2]], [`${epoch}.1`, [2]], [`${epoch}.2`, []]] as const) {
      const reader = await SSEReader.open(`${server.url}/c/x?position=${position}`)
      await reader.finished
      expect(reader.status).toBe(200)
      expect(reader.data).toEqual(data)
      expect(reader.controls.at(-1)).toEqual({ type: 'error', ...error })
      expect(await batch(`&position=${position}`)).toMatchObject({ ended: true, error })
    }
  })
})

describe('a source that cannot be polled', () => {
  it.each<[string, () => unknown, boolean]>([
    ['a generator', async function* () {
      yield 1
    }, false],
    ['a stream', () => new ReadableStream(), false],
    ['nothing', () => {}, false],
    ['a clean-up function', () => () => void cleaned++, true],
    ['a locked stream', () => {
      const stream = new ReadableStream()
      stream.getReader()
      return stream
    }, false],
  ])('answers 406 with the reason, and starts nothing: %s', async (_, handler, cleans) => {
    cleaned = 0
    server.route('/', handler as () => unknown)
    for (const init of [{ headers: { accept: 'application/json, text/event-stream;q=0' } }, undefined]) {
      const response = await fetch(`${server.url}/${init ? '' : '?transport=poll'}`, init)
      expect(response.status).toBe(406)
      expect(await response.json()).toMatchObject({ message: expect.stringContaining('cannot be polled'), data: { code: 'NOT_POLLABLE' } })
    }
    expect(cleaned).toBe(cleans ? 2 : 0)
  })

  it('answers 406 as well when the client accepts neither', async () => {
    const response = await fetch(`${server.url}/c/x`, { headers: { accept: 'image/png' } })
    expect(response.status).toBe(406)
    expect(await response.json()).toMatchObject({ data: { code: 'NOT_ACCEPTABLE' } })
  })
})
let cleaned = 0

describe('when the driver cannot be reached', () => {
  // @guarantee loud
  it('either transport gets 503, Retry-After and `pending`', async () => {
    driver.fail('all')
    for (const transport of ['stream', 'poll']) {
      const response = await fetch(`${server.url}/c/x?transport=${transport}&position=4`)
      expect(response.status).toBe(503)
      expect(response.headers.get('content-type')).toBe('application/json')
      expect(response.headers.get('retry-after')).toBe('1')
      expect(await response.json()).toEqual({ type: 'pending', message: expect.stringContaining('cannot be reached'), retryMs: expect.any(Number) })
    }
    expect([server.context.hub.size, server.context.connections.size]).toEqual([0, 0])
    driver.heal()
    expect((await poll()).status).toBe(200)
  })

  it('open connections stay, and receive what is published meanwhile', async () => {
    const channel = server.channel<number>('x')
    await publish(1)
    await using reader = await SSEReader.open(`${server.url}/c/x`)
    await reader.until(r => r.data.length === 1)
    driver.fail('all')
    await expect(channel.publish(2)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    // Far back, so that the read must go to the log, which fails.
    const late = SSEReader.open(`${server.url}/c/x`)
    expect((await late).status).toBe(503)
    driver.heal()
    await channel.publish(3)
    await reader.until(r => r.data.length === 2)
    expect(reader.data).toEqual([1, 3])
  })

  /** A channel whose reader must read on from the log, at the moment when the driver fails. */
  async function farBehind(): Promise<Channel<string>> {
    const channel = server.channel<string>('x', { retention: { maxMessages: 10_000 } })
    for (let i = 1; i <= 100; i++) await channel.publish(`${i}${'x'.repeat(10_000)}`)
    let reads = 0
    const { read } = driver
    driver.read = (...args) => {
      // The read of the hub and the first page succeed; then the driver fails.
      if (++reads === 3) driver.fail('all')
      return read(...args)
    }
    return channel
  }

  it('a reader that must read the log waits for the driver, receives no error, and the failure is logged once', async () => {
    await farBehind()
    await using reader = await SSEReader.open(`${server.url}/c/x`)
    await eventually(() => expect(driver.failed).toBeGreaterThan(1))
    expect(reader.data.length).toBeLessThan(100)
    driver.heal()
    await reader.until(r => r.data.length === 100)
    expect(reader.data.map(data => Number.parseInt(data as string))).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
    expect(reader.controls).toHaveLength(1)
    expect(server.reported).toHaveLength(1)
  })

  it('`subscribe` waits for the driver as a stream does, and the failure is logged once', async () => {
    const channel = await farBehind()
    const seen: number[] = []
    const subscribed = (async () => {
      for await (const { data } of channel.subscribe({ after: 'start' })) {
        seen.push(Number.parseInt(data))
        if (seen.length === 100) return 'all'
      }
    })()
    await eventually(() => expect(driver.failed).toBeGreaterThan(1))
    expect(seen.length).toBeLessThan(100)
    driver.heal()
    expect(await subscribed).toBe('all')
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
    expect(server.reported).toEqual([expect.objectContaining({ code: 'DRIVER_UNAVAILABLE' })])
    expect(server.left()).toEqual(NOTHING)
  })

  it.each(['its signal', 'return()', 'a shutdown'])('`subscribe` that waits for the driver ends with %s, and leaves nothing', async (how) => {
    const channel = await farBehind()
    const controller = new AbortController()
    const iterator = channel.subscribe({ after: 'start', signal: controller.signal })[Symbol.asyncIterator]()
    let { failed } = driver
    let id: string | undefined
    const end = (async () => {
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) id = next.value.id
    })()
    await eventually(() => expect(driver.failed).toBeGreaterThan(failed))
    if (how === 'its signal') controller.abort()
    else if (how === 'return()') await iterator.return!()
    else void server.context.close()
    if (how === 'a shutdown') await expect(end).rejects.toMatchObject({ code: 'SHUTTING_DOWN', message: expect.stringContaining(id!) })
    else expect(await end).toBeUndefined()
    expect([server.left(), getEventListeners(controller.signal, 'abort')]).toEqual([NOTHING, []])
    ;({ failed } = driver)
    await turns(5)
    expect(driver.failed).toBe(failed)
  })

  it('`subscribe` that cannot start rejects, and leaves nothing on its signal', async () => {
    driver.fail('all')
    const controller = new AbortController()
    await expect(server.channel('x').subscribe({ signal: controller.signal })[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    expect([server.left(), getEventListeners(controller.signal, 'abort')]).toEqual([NOTHING, []])
  })

  it('a poll that waits, and whose messages only the log has, gets 503 and loses nothing', async () => {
    const epoch = await publish(1)
    const before = driver.calls.read
    const waiting = fetch(`${server.url}/c/x?transport=poll&position=${epoch}.1`)
    await eventually(() => expect([server.left().channels, driver.calls.read - before]).toEqual([1, 3]))
    driver.fail('read')
    // More than the memory retains.
    const long = 'x'.repeat(600_000)
    await driver.append('x', [2, 3, 4].map(n => ({ data: JSON.stringify(n + long) })), { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 })
    const response = await waiting
    expect([response.status, await response.json()]).toEqual([503, { type: 'pending', message: expect.stringContaining('cannot be reached'), retryMs: expect.any(Number) }])
    expect(server.left()).toEqual(NOTHING)
    driver.heal()
    const first = await batch(`&position=${epoch}.1`)
    const rest = await batch(`&position=${first.position}`)
    expect([...first.messages, ...rest.messages].map(({ data }) => Number.parseInt(data as string))).toEqual([2, 3, 4])
  })

  it('a reader that waits for the driver and leaves meanwhile leaves nothing', async () => {
    const clock = new MovingClock()
    clock.install()
    onTestFinished(() => clock.uninstall())
    await farBehind()
    const reader = await SSEReader.open(`${server.url}/c/x`)
    await eventually(() => expect(driver.failed).toBeGreaterThan(0))
    // It retries as long as the reader is there.
    const { failed: first } = driver
    await clock.move(600)
    await eventually(() => expect(driver.failed).toBeGreaterThan(first))
    await reader.close()
    await eventually(() => expect(server.left()).toEqual(NOTHING))
    const { failed: refused } = driver
    await clock.move(2_000)
    expect(driver.failed).toBe(refused)
  })
})
