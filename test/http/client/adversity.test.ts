import { describe, expect, it, vi } from 'vitest'
import type { Exchange } from '../../support/scripted-server'
import { control, message } from '../../support/scripted-server'
import { END, MARK, QUICK, all, data, failure, spyOnReading, spyOnRequests, stubBrowser, useHarness } from './harness'
import { eventually } from '../../support/conditions'
import { useMovingClock } from '../../support/moving-clock'

const clock = useMovingClock()
const harness = useHarness()
const open = harness.open

const CONNECT_TIMEOUT_MS = 10_000

/** The headers of a stream and not one byte, until the client no longer waits for the first. */
function mute(x: Exchange): void {
  x.stream('', MARK)
  void clock.move(CONNECT_TIMEOUT_MS)
}

describe('a request that must not be repeated', () => {
  // @guarantee complete-not-dropped
  it('a POST without a position is not repeated when the server sends a reconnect', async () => {
    harness.server.script(x => x.open().write(message('a')).end(control({ type: 'leave', retryMs: 1 })), x => x.open().write(message('a')).end(END))
    expect(await failure(open({ method: 'POST', body: { prompt: 'hi' } }))).toMatchObject({ code: 'INTERRUPTED' })
    expect(harness.server.exchanges).toHaveLength(1)
  })

  // @guarantee complete-not-dropped
  it('one with a position is repeated when the server sends a reconnect', async () => {
    harness.server.script(x => x.open({ position: 'e1.0' }).write(message('a', 'e1.1')).end(control({ type: 'leave', retryMs: 1 })), x => x.open({ position: 'e1.1' }).write(message('b', 'e1.2')).end(END))
    expect(data(await all(open({ method: 'POST', body: { prompt: 'hi' } })))).toEqual(['a', 'b'])
  })
})

describe('polling', () => {
  // @guarantee final-status
  it('requests a fresh token at every poll, not once for all of them', async () => {
    let token = 0
    harness.server.script(
      x => x.batch([], { position: 'e1.0' }),
      x => x.batch([{ id: 'e1.1', data: 1 }]),
      x => x.batch([{ id: 'e1.2', data: 2 }], { ended: true }),
    )
    await all(open({ transports: ['poll'], headers: () => ({ authorization: `t${++token}` }) }))
    expect(harness.server.exchanges.map(x => x.request.headers.authorization)).toEqual(['t1', 't2', 't3'])
  })

  it('is `connected` as soon as polling works, also when there is nothing new', async () => {
    harness.server.script(
      x => x.open({ position: 'e1.3' }).write(message(4, 'e1.4')).end(),
      mute, mute,
      (x) => {
        // As a server of ours: it waits for news only as long as requested.
        if (x.query.waitMs === '0') x.batch([])
      },
    )
    const source = open({ connectTimeoutMs: CONNECT_TIMEOUT_MS })
    const read = all(source)
    await eventually(() => expect(source).toMatchObject({ status: 'connected', transport: 'poll', position: 'e1.4' }))
    await eventually(() => expect(harness.server.exchanges.at(-1)!.query.waitMs).not.toBe('0'))
    source.close()
    expect(data(await read)).toEqual([4])
  })

  // @guarantee attempt-count
  it('polling that holds resets the count, although every batch is short', async () => {
    let polls = 0
    harness.server.script(x => x.status(500), x => x.status(500), async (x) => {
      polls++
      await clock.move(6_000)
      if (!x.closed) x.batch([])
    })
    const source = open({ transports: ['poll'], silenceTimeoutMs: 60_000, reconnect: { ...QUICK.reconnect, maxAttempts: 3 } })
    const read = all(source)
    await eventually(() => expect(polls).toBeGreaterThan(12))
    // A third failure in a row would be the end.
    harness.server.script(x => x.status(500), x => x.status(500), x => x.batch([], { ended: true }))
    await read
    expect(source).toMatchObject({ status: 'closed', error: undefined })
  })

  it('does not hammer a server, or a cache, that answers at once with nothing', async () => {
    harness.server.script(x => x.batch([], { position: 'e1.0' }))
    const source = open({ transports: ['poll'], reconnect: { minDelayMs: 100 } })
    void all(source)
    await eventually(() => expect(harness.server.exchanges.length).toBeGreaterThanOrEqual(4))
    const startedAt = performance.now()
    const before = harness.server.exchanges.length
    await eventually(() => expect(harness.server.exchanges.length).toBeGreaterThanOrEqual(before + 3))
    expect(performance.now() - startedAt).toBeGreaterThan(150)
  })

  it('a page where a batch was expected is reported, and not requested forever', async () => {
    harness.server.script(x => x.status(200, '<html>'))
    expect(await failure(open({ transports: ['poll'] }))).toMatchObject({ retry: false, statusCode: 200 })
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it('a batch without messages is reported too, and not as if an option had thrown', async () => {
    harness.server.script(x => x.status(200, { type: 'batch', position: 'e1.0' }))
    expect(await failure(open({ transports: ['poll'] }))).toMatchObject({ code: 'INVALID_BATCH', retry: false })
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it('a batch may take longer than `connectTimeoutMs`, as long as some of it arrives', async () => {
    const text = JSON.stringify({ type: 'batch', messages: Array.from({ length: 30 }, (_, n) => ({ id: `e1.${n + 1}`, data: n })), position: 'e1.30', ended: true, gap: null, pollMs: 0 })
    const pieces = spyOnReading()
    const read = () => pieces().filter(piece => text.includes(piece)).join('')
    harness.server.script(async (x) => {
      x.response.writeHead(200, { 'content-type': 'application/json' })
      // Half of the time between each two parts, ten times the whole of it for all.
      for (let part = 1; part <= 20; part++) {
        x.write(text.slice(text.length * (part - 1) / 20, text.length * part / 20))
        await eventually(() => expect(read()).toBe(text.slice(0, text.length * part / 20)))
        await clock.move(CONNECT_TIMEOUT_MS / 2)
      }
      x.end()
    })
    expect(await all(open({ transports: ['poll'], connectTimeoutMs: CONNECT_TIMEOUT_MS }))).toHaveLength(30)
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it('a batch that stalls is given up', async () => {
    const pieces = spyOnReading()
    harness.server.script(async (x) => {
      x.response.writeHead(200, { 'content-type': 'application/json' })
      x.write('{"type":"batch",')
      await eventually(() => expect(pieces()).toContain('{"type":"batch",'))
      await clock.move(CONNECT_TIMEOUT_MS)
    }, x => x.batch([{ id: 'e1.1', data: 1 }], { ended: true }))
    expect(data(await all(open({ transports: ['poll'], connectTimeoutMs: CONNECT_TIMEOUT_MS })))).toEqual([1])
    expect(harness.server.exchanges).toHaveLength(2)
  })

  it('a batch that is cut in the middle is requested again', async () => {
    harness.server.script((x) => {
      x.response.writeHead(200, { 'content-type': 'application/json', 'connection': 'close' })
      x.response.write('{"type":"batch","messages":[{"id":"e1.1",', () => x.response.socket!.end())
    }, x => x.batch([{ id: 'e1.1', data: 1 }], { ended: true }))
    expect(data(await all(open({ transports: ['poll'] })))).toEqual([1])
  })

  it('reads none of the options once it is closed', async () => {
    stubBrowser()
    let asked = 0
    let last: Exchange | undefined
    // By what is requested, as an engine may send a request again.
    harness.server.script((x) => {
      if (!x.isPoll) mute(x)
      else if (x.position) last = x
      else x.batch([], { position: 'e1.0' })
    })
    const source = open({ connectTimeoutMs: CONNECT_TIMEOUT_MS, headers: () => {
      asked++
      return {}
    } })
    const read = all(source)
    await eventually(() => expect(last).toBeDefined())
    const before = asked
    source.close()
    await read
    await eventually(() => expect(last!.closed).toBe(true))
    expect(asked).toBe(before)
  })
})

describe('falling back', () => {
  // @guarantee buffering-proxy
  it('silent attempts with a good connection between them are not in a row', async () => {
    harness.server.script(
      mute,
      x => x.open().write(message(1)).end(control({ type: 'leave', retryMs: 1 })),
      mute,
      x => x.open().write(message(2)).end(END),
    )
    expect(data(await all(open({ connectTimeoutMs: CONNECT_TIMEOUT_MS })))).toEqual([1, 2])
    expect(harness.server.exchanges.map(x => x.isPoll)).toEqual([false, false, false, false])
  })

  // @guarantee buffering-proxy
  it('a probe whose headers throw leaves the poll as it is', async () => {
    const browser = stubBrowser()
    let waiting: (() => void) | undefined
    let probes = 0
    let online = false
    harness.server.script(
      mute, mute,
      x => x.batch([], { position: 'e1.1' }),
      x => void (waiting = () => x.batch([{ id: 'e1.2', data: 2 }], { ended: true })),
    )
    const source = open({ connectTimeoutMs: CONNECT_TIMEOUT_MS, headers: () => {
      if (online && ++probes) throw new Error('no token')
      return {}
    } })
    const read = all(source)
    await eventually(() => expect(waiting).toBeDefined())
    online = true
    browser.dispatchEvent(new Event('online'))
    await eventually(() => expect(probes).toBe(1))
    expect(source).toMatchObject({ status: 'connected', transport: 'poll', error: undefined })
    waiting!()
    expect(data(await read)).toEqual([2])
    expect(harness.server.exchanges).toHaveLength(4)
  })

  // @guarantee buffering-proxy
  it('an answer that is not a batch leads back to streaming, and polling is not tried a second time', async () => {
    harness.server.script(mute, mute, x => x.status(200, { hello: 'world' }), mute, mute, x => x.open().write(message(1)).end(END))
    expect(data(await all(open({ connectTimeoutMs: CONNECT_TIMEOUT_MS })))).toEqual([1])
    expect(harness.server.exchanges.map(x => x.isPoll)).toEqual([false, false, true, false, false, false])
  })

  it('starts with the preferred transport: polling first, and the stream where a source cannot be polled', async () => {
    harness.server.script(x => x.status(406, { message: 'no' }), x => x.open().write(message(1)).end(END))
    const source = open({ transports: ['poll', 'stream'] })
    expect(source.transport).toBe('poll')
    expect(data(await all(source))).toEqual([1])
    expect(harness.server.exchanges.map(x => x.isPoll)).toEqual([true, false])
  })

  it('never polls if polling is not allowed', async () => {
    harness.server.script(mute, mute, mute, x => x.open().write(message(1)).end(END))
    expect(data(await all(open({ transports: ['stream'], connectTimeoutMs: CONNECT_TIMEOUT_MS })))).toEqual([1])
    expect(harness.server.exchanges.some(x => x.isPoll)).toBe(false)
  })
})

describe('a loop that is slow', () => {
  // @guarantee one-position
  it('a hand-over waits until the poll has settled, and neither loses nor repeats messages in flight', async () => {
    const browser = stubBrowser()
    const messages = Array.from({ length: 200 }, (_, index) => ({ id: `e1.${index + 1}`, data: index + 1 }))
    harness.server.script(
      mute, mute,
      x => x.batch(messages),
      x => x.open({ position: 'e1.0' }),
      (x) => {
        const from = Number(x.position!.split('.')[1])
        x.open({ position: x.position }).write(messages.slice(from).map(one => message(one.data, one.id)).join('')).end(END)
      },
    )
    const source = open({ connectTimeoutMs: CONNECT_TIMEOUT_MS })
    await eventually(() => expect(source).toMatchObject({ transport: 'poll', status: 'connected' }))
    browser.dispatchEvent(new Event('online'))
    // The stream is there, and has shown its first bytes; but the batch of the poll is still unread.
    await eventually(() => expect(harness.server.exchanges[3]?.closed).toBe(true))
    expect([source.transport, harness.server.exchanges.length]).toEqual(['poll', 4])
    expect(data(await all(source))).toEqual(messages.map(one => one.data))
    expect([source.transport, harness.server.exchanges.length]).toEqual(['stream', 5])
  })

  it('is not taken for a silent server', async () => {
    harness.server.script((x) => {
      x.stream(control({ type: 'open' }) + Array.from({ length: 100 }, (_, n) => message(n)).join(''))
    })
    const source = open({ silenceTimeoutMs: 30_000 })
    const iterator = source[Symbol.asyncIterator]()
    // In one piece with the messages: the first of them waits to be read.
    await eventually(() => expect(source.status).toBe('connected'))
    // Many times the limit, in which nothing is read.
    for (let n = 0; n < 7; n++) await clock.move(30_000)
    expect([source.status, harness.server.exchanges.length, harness.server.exchanges[0]!.closed]).toEqual(['connected', 1, false])
    for (let n = 0; n < 100; n++) expect((await iterator.next()).value?.data).toBe(n)
    // Now it really is silent.
    await clock.move(30_000)
    await eventually(() => expect(harness.server.exchanges.length).toBeGreaterThan(1))
    await iterator.return!()
  })
})

describe('a server that lies', () => {
  it.each(['99999999999', '9'.repeat(400)])('a `retry` of %.20s does not make the client hammer it', async (retry) => {
    const requests = spyOnRequests(harness.server.url)
    harness.server.script(x => x.stream(`retry: ${retry}\n\n`).end())
    const source = open({ reconnect: { minDelayMs: 1, maxDelayMs: 2 } })
    const read = all(source)
    await eventually(() => expect(source.status).toBe('reconnecting'))
    // A timer that is too long fires at once.
    await clock.move(60)
    expect(requests()).toBe(1)
    source.close()
    await read
  })

  it('a `leave` or a heartbeat of a year does not make it hammer either', async () => {
    const requests = spyOnRequests(harness.server.url)
    harness.server.script(x => x.open({ heartbeatMs: 31_536_000_000 }).write(message(1)).end(control({ type: 'leave', retryMs: 31_536_000_000 })))
    const source = open()
    const read = all(source)
    await eventually(() => expect(source.status).toBe('reconnecting'))
    // A timer that is too long fires at once.
    await clock.move(60)
    expect(requests()).toBe(1)
    source.close()
    expect(data(await read)).toEqual([1])
  })

  it('a content type is compared without regard to case', async () => {
    harness.server.script((x: Exchange) => x.stream(control({ type: 'open' }) + message(1), { 'content-type': 'Text/Event-Stream; charset=UTF-8' }).end(END))
    expect(data(await all(open()))).toEqual([1])
  })
})

describe('a position', () => {
  it('stays after the last message that the loop was given, also when it breaks off', async () => {
    harness.server.script(x => x.open({ position: 'e1.0' }).write([1, 2, 3].map(n => message(n, `e1.${n}`)).join('')))
    const source = open()
    for await (const one of source) {
      expect(one.data).toBe(1)
      await eventually(() => expect(source.position).toBe('e1.1'))
      break
    }
    expect(source.position).toBe('e1.1')
  })

  it('stays there when it is closed', async () => {
    harness.server.script(x => x.open({ position: 'e1.0' }).write([1, 2, 3].map(n => message(n, `e1.${n}`)).join('')))
    const source = open()
    const iterator = source[Symbol.asyncIterator]()
    await iterator.next()
    source.close()
    expect(source.position).toBe('e1.1')
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })

  it('is that of a gap, also where the gap has no ID', async () => {
    harness.server.script(x => x.open({ position: 'e1.9' }).write(control({ type: 'gap', reason: 'epoch', missed: null, position: 'e2.4' })).end(), x => x.open().end(END))
    await all(open())
    expect(harness.server.exchanges[1]!.position).toBe('e2.4')
  })

  it('of a gap is adopted from a batch too, when nothing follows it', async () => {
    const gap = { reason: 'trimmed', missed: 2, position: 'e1.7' }
    harness.server.script(x => x.batch([], { gap, position: 'e1.7' }), x => x.batch([], { ended: true }))
    const source = open({ transports: ['poll'], position: 5 })
    await all(source)
    expect(source.gap).toEqual(gap)
    expect(harness.server.exchanges.map(x => x.query.position)).toEqual(['5', 'e1.7'])
  })

  it('that a query requests is not lost', async () => {
    harness.server.script(x => x.open().end(END))
    await all(open({ query: { position: 'now' } }))
    expect(harness.server.exchanges[0]!.query.position).toBe('now')
  })
})

describe('functions of the user', () => {
  it('`until` that throws is reported, and neither breaks the connection nor loses a message', async () => {
    const reported = vi.spyOn(console, 'error').mockImplementation(() => {})
    harness.server.script(x => x.open().write(message(1, '1') + message(2, '2') + message(3, '3')).end(END))
    const read = all(open({ until: (one) => {
      if (one.data === 2) throw new Error('until')
      return false
    } }))
    expect(data(await read)).toEqual([1, 2, 3])
    expect(harness.server.exchanges).toHaveLength(1)
    expect(reported).toHaveBeenCalledTimes(1)
    reported.mockRestore()
  })

  it('headers that throw are a failed attempt, and are called again', async () => {
    let n = 0
    harness.server.script(x => x.open().write(message(1)).end(END))
    const source = open({ headers: () => {
      if (!n++) throw new Error('no token')
      return {}
    } })
    expect(data(await all(source))).toEqual([1])
    expect(n).toBe(2)
  })

  it.each([
    [{ connectTimeoutMs: 0 }],
    [{ silenceTimeoutMs: 0 }],
    [{ reconnect: { maxAttempts: 0 } }],
  ])('refuses %j, which makes no sense', (options) => {
    expect(() => open(options)).toThrow('Expected')
  })
})
