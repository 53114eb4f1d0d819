import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BuiltServer } from './built-server'
import { eventually, LOADED_MS } from './conditions'
import { RawSocket } from './raw-http'
import { SSEReader } from './read-sse'
import { startScriptedServer } from './scripted-server'

/**
 * Tests one application on each runtime and on either Nitro with the same expectations. The description of a runtime lists
 * its differences, and the tests expect them.
 */

/** Differences of a runtime from Node with Nitro 2. A test covers each of them, and none is a reason to skip a test. */
export interface RuntimeUnderTest {
  name: string
  /** Starts another server of the built application with each call. */
  start(env: Record<string, string>): Promise<RuntimeServer>
  /** Prefix of the variables in the environment. */
  envPrefix: 'NITRO' | 'NUXT'
  /** Whether all requests share channels kept in memory. */
  memory: boolean
  /** Whether ioredis can hold its connections. */
  redis: boolean
  /** Whether the process handles a signal. */
  signals: boolean
  /** Event on the connection of a poll's client that lets the server detect its disconnect before the end of the wait. */
  noticesPollLeft: 'close' | 'reset' | 'never'
}

export type RuntimeServer = Pick<BuiltServer, 'url' | 'output' | 'stop'>

const READERS = 100
let names = 0

interface Token { n: number, run: string }
const runOf = (data: unknown[]) => (data[0] as Token).run

/** Publishers that report during a shutdown, by process and in their order. */
export function saidAtTheEnd(output: string): string[][] {
  const said = [...output.matchAll(/\[end\] (\d+) (.*)/g)]
  return [...Map.groupBy(said, ([, pid]) => pid).values()].map(lines => lines.map(([, , what]) => what!))
}

/** Opens streams that publish at their end. Stop `server` after that. */
export async function openForTheEnd(server: Pick<RuntimeServer, 'url'>): Promise<SSEReader[]> {
  const readers = await Promise.all(['generator', 'clean-up'].map(as => SSEReader.open(`${server.url}/api/at-the-end?as=${as}`)))
  await Promise.all(readers.map(reader => reader.until(({ data }) => data.length > 0)))
  return readers
}

/** Expects that all messages were kept, and that the hook `close` was last. */
export function expectAllKept(output: string): void {
  const said = saidAtTheEnd(output)
  expect(said.flat().filter(what => !what.startsWith('close')).sort()).toEqual(['clean-up: kept', 'finally: kept'])
  for (const lines of said) expect([lines.at(-1), lines.filter(what => what.startsWith('close'))]).toEqual(['close: kept', ['close: kept']])
  expect(output).not.toMatch(/cannot be reached|unhandled|uncaught/i)
}

/** Expects all tokens from the first, in order, each once, and all of one start. */
function expectOneRun(data: unknown[]): void {
  expect(data).toEqual(data.map((_, index) => ({ n: index + 1, run: runOf(data) })))
}

export function describeRuntime({ name: runtime, start, envPrefix, memory, redis: reachesRedis, signals, noticesPollLeft }: RuntimeUnderTest, redisUrl: () => string): void {
  describe(runtime, () => {
    const redisEnv = () => ({ [`${envPrefix}_SSE_REDIS_URL`]: redisUrl() })
    const env = memory ? undefined : redisEnv
    let server: RuntimeServer
    let name: string
    beforeAll(async () => {
      server = await start(env?.() ?? {})
    })
    afterAll(() => server.stop())

    const open = (path: string, init?: RequestInit) => SSEReader.open(server.url + path, init)
    const post = (path: string, body: unknown) => fetch(server.url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    const publish = async (channel: string, body: unknown, query = '') => ((await (await post(`/api/publish/${channel}${query}`, body)).json()) as { ids: string[] }).ids
    const poll = async (channel: string, query: string) => await (await fetch(`${server.url}/api/channel/${channel}?transport=poll&${query}`)).json() as { messages: { id: string, data: unknown }[], position: string, ended: boolean, gap: unknown, error?: unknown }
    /** Counters from the routes. With many processes, those of the process that answers. */
    const told = async () => (await fetch(`${server.url}/api/told`, { headers: { connection: 'close' } })).json() as Promise<Record<string, number>>
    const toldSum = async (key: string, atLeast: number) => {
      let most = 0
      await eventually(async () => {
        most = Math.max(most, (await told())[key] ?? 0)
        expect(most).toBeGreaterThanOrEqual(atLeast)
      })
      return most
    }
    const newName = () => name = `c${++names}`

    it('sends headers and preamble at once, and heartbeats while no message arrives', async () => {
      await using reader = await open(`/api/channel/${newName()}`)
      expect(reader.status).toBe(200)
      expect(reader.response.headers.get('content-type')).toBe('text/event-stream')
      expect(reader.response.headers.get('cache-control')).toBe('no-cache, no-transform')
      expect(reader.response.headers.get('x-accel-buffering')).toBe('no')
      await reader.until(({ comments }) => comments.length > 3)
      expect(reader.raw).toMatch(/^retry: \d+\nid: [\w.]+\nevent: sse\ndata: \{"type":"open","heartbeatMs":200,"position":"[\w.]+","resumed":false\}\n\n(:\n\n)+$/)
    })

    it('streams a generator, and the answer to a POST after its body was read', async () => {
      const reader = await open('/api/count')
      await reader.finished
      expect(reader.data).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
      const chat = await open('/api/chat', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ prompt: 'one two' }) })
      await chat.finished
      expect(chat.data).toEqual([{ word: 'one' }, { word: 'two' }])
      for (const { controls, cut } of [reader, chat]) expect([controls.map(({ type }) => type), cut]).toEqual([['open', 'end'], false])
    })

    it('keeps the surface of createEventStream', async () => {
      const reader = await open('/api/raw')
      await reader.finished
      expect(reader.events.filter(({ event }) => event !== 'sse').map(({ id, event, data }) => [id, event, data])).toEqual([[undefined, undefined, 'first'], ['7', 'named', 'second']])
      expect(reader.controls.at(-1)).toEqual({ type: 'end' })
    })

    it('streams several channels on one connection, resumes each, and reads them back page by page', async () => {
      const [one, two] = [newName(), newName()]
      const ids = await publish(one, [{ n: 1 }, { n: 2 }, { n: 3 }])
      await publish(two, [{ n: 4 }])
      const path = `/api/several/${one}-${two}`
      await using reader = await open(path)
      await reader.until(({ messages }) => messages.length === 4)
      const { position } = reader
      expect(position).toMatch(new RegExp(`^${one}:\\w+\\.3,${two}:\\w+\\.1$`))
      await using own = await open(path, { headers: { 'accept': 'text/event-stream;positions=own', 'last-event-id': position! } })
      await own.until(({ controls }) => controls.length === 1)
      const [id] = await publish(two, [{ n: 5 }])
      for (const each of [own, reader]) await each.until(({ data }) => data.some(item => (item as { n: number }).n === 5))
      expect(own.messages).toEqual([{ id: `${two}:${id}`, channel: two, data: { n: 5 } }])
      const batch = await (await fetch(`${server.url}${path}?transport=poll&waitMs=0&position=${position}`)).json()
      expect(batch.messages).toEqual([{ channel: two, id: `${two}:${id}`, data: { n: 5 } }])
      const page = await (await fetch(`${server.url}${path}?channel=${one}&before=${ids[2]}&limit=1`, { headers: { accept: 'application/json' } })).json()
      expect(page).toEqual({ type: 'page', messages: [{ channel: one, id: `${one}:${ids[1]}`, data: { n: 2 } }], hasOlder: true })
      await using last = await open(`${path}?position=-1`)
      await last.until(({ messages }) => messages.length === 2)
      expect(last.messages.map(({ data }) => data).sort((a, b) => (a as { n: number }).n - (b as { n: number }).n)).toEqual([{ n: 3 }, { n: 5 }])
    })

    it('resumes a channel from any position and a custom source, and reports lost messages', async () => {
      const ids = await publish(newName(), [{ n: 1 }, { n: 2 }, { n: 3 }])
      await using reader = await open(`/api/channel/${name}`, { headers: { 'last-event-id': ids[0]! } })
      await reader.until(({ data }) => data.length === 2)
      expect(reader.messages.map(({ id }) => id)).toEqual(ids.slice(1))
      expect(reader.controls).toMatchObject([{ type: 'open', position: ids[0], resumed: true }])
      await using lost = await open(`/api/channel/${name}`, { headers: { 'last-event-id': 'other.1' } })
      await lost.until(({ data }) => data.length === 3)
      expect(lost.controls).toMatchObject([{ type: 'open' }, { type: 'gap', reason: 'epoch' }])
      // Without a following message: a gap must not wait for the next one.
      await publish(name, [], '?anew=1')
      await lost.until(({ controls }) => controls.length === 3)
      expect(lost.controls.at(-1)).toMatchObject({ type: 'gap', reason: 'epoch' })
      expect((await fetch(`${server.url}/api/channel/${name}?position=nonsense!`)).status).toBe(400)
      const rows = await open('/api/resume', { headers: { 'last-event-id': 'row-4' } })
      await rows.finished
      expect(rows.messages).toEqual([{ id: 'row-5', event: 'row', data: { row: 5 } }, { id: 'row-6', event: 'row', data: { row: 6 } }])
    })

    it('answers a poll at once with stored messages, later with new ones, and with the end', async () => {
      const ids = await publish(newName(), [{ n: 1 }, { n: 2 }])
      const first = await poll(name, 'position=1')
      expect(first).toEqual({ type: 'batch', messages: [{ id: ids[1], data: { n: 2 } }], position: ids[1], ended: false, gap: null, pollMs: 0 })
      const waiting = poll(name, `position=${first.position}&waitMs=50000`)
      // Only after the poll has arrived, otherwise it repeats the first of the two cases.
      await toldSum('polls', 1)
      const [third] = await publish(name, { n: 3 })
      expect(await waiting).toMatchObject({ messages: [{ id: third, data: { n: 3 } }], position: third })
      const began = performance.now()
      expect(await poll(name, `position=${third}&waitMs=100`)).toMatchObject({ messages: [], position: third, ended: false })
      expect(performance.now() - began).toBeGreaterThan(90)
      await publish(name, { n: 4 }, '?end=1')
      expect(await poll(name, `position=${third}`)).toMatchObject({ messages: [{ data: { n: 4 } }], ended: true })
    })

    it('switches between stream and poll, either way, and loses and repeats nothing', async () => {
      newName()
      const all: unknown[] = []
      let position = ''
      for (let n = 1; n <= 6; n++) {
        await publish(name, { n })
        if (n % 2) {
          await using reader = await open(`/api/channel/${name}?position=${position || 'start'}`)
          await reader.until(({ data }) => data.length > 0)
          all.push(...reader.data)
          position = reader.messages.at(-1)!.id!
        }
        else {
          const batch = await poll(name, `position=${position}`)
          all.push(...batch.messages.map(({ data }) => data))
          position = batch.position
        }
      }
      expect(all).toEqual([1, 2, 3, 4, 5, 6].map(n => ({ n })))
    })

    it('serves a live or static route with one handler that calls the result of defineSSEHandler', async () => {
      expect(await (await fetch(`${server.url}/api/live-or-static`)).json()).toEqual(['Milk'])
      for (const accept of ['text/event-stream', 'application/json']) {
        const reader = await open('/api/live-or-static?live=1', { headers: { accept } })
        await reader.finished
        expect([reader.data, reader.controls.at(-1)]).toEqual([[{ added: 'Milk' }], { type: 'end' }])
      }
      const batch = await fetch(`${server.url}/api/live-or-static?live=channel&waitMs=0`, { headers: { accept: 'application/json' } })
      expect(await batch.json()).toMatchObject({ type: 'batch', messages: [] })
    })

    it('has the members of a presence first, then each change once, or refuses where requests share nothing', async () => {
      const at = `/api/presence/${newName()}?id=`
      await using first = await open(`${at}ann`)
      if (runtime.endsWith('cloudflare-module')) {
        expect([first.status, await fetch(`${server.url}${at}ann`).then(response => response.json())]).toMatchObject([501, { data: { code: 'NOT_SUPPORTED' } }])
        return
      }
      await first.until(({ messages }) => messages.length === 1)
      const tabs = await Promise.all([1, 2].map(() => open(`${at}ben`)))
      await Promise.all(tabs.map(tab => tab.until(({ messages }) => messages.length > 0)))
      await Promise.all(tabs.map(tab => tab.close()))
      await first.until(({ messages }) => messages.length === 3, 20_000)
      expect(first.data).toEqual([{ type: 'members', members: [{ id: 'ann' }] }, { type: 'join', member: { id: 'ben' } }, { type: 'leave', id: 'ben' }])
    })

    it('answers the probe with the headers of a stream, and a few bytes at once', async () => {
      const response = await fetch(`${server.url}/__sse/probe`)
      expect([response.status, response.headers.get('content-type'), response.headers.get('x-accel-buffering')]).toEqual([200, 'text/event-stream', 'no'])
      const reader = response.body!.getReader()
      const { value } = await reader.read()
      expect(new TextDecoder().decode(value)).toBe(': probe\n\n')
      await reader.cancel()
    })

    it('refuses with ordinary HTTP errors, and ends a failing stream with a public error text', async () => {
      for (const accept of ['text/event-stream', 'application/json']) {
        const before = await fetch(`${server.url}/api/error?when=before`, { headers: { accept } })
        expect([before.status, (await before.json()).message]).toEqual([401, 'Sign in first.'])
        const refused = await fetch(`${server.url}/api/error?when=refused`, { headers: { accept } })
        expect([refused.status, await refused.json()]).toMatchObject([403, { message: 'Not today.', data: { code: 'REFUSED' } }])
      }
      const shown = await open('/api/error?when=shown')
      const hidden = await open('/api/error?when=hidden')
      await Promise.all([shown.finished, hidden.finished])
      expect(shown.controls.at(-1)).toEqual({ type: 'error', code: 'SHOWN', statusCode: 409, message: 'Try another.', retry: false })
      expect(hidden.controls.at(-1)).toMatchObject({ type: 'error', code: 'SOURCE_FAILED', statusCode: 500, retry: true })
      expect(hidden.raw).not.toContain('secret')
    })

    it('sends an ending to all readers, also to later ones', async () => {
      await using reader = await open(`/api/channel/${newName()}`)
      await reader.until(({ controls }) => controls.length === 1)
      const ids = await publish(name, [{ n: 1 }], '?end=1')
      await reader.finished
      expect([reader.data, reader.controls.at(-1)]).toEqual([[{ n: 1 }], { type: 'end' }])
      expect((await open(`/api/channel/${name}`, { headers: { 'last-event-id': ids[0]! } })).status).toBe(204)
      await publish(newName(), [{ n: 1 }], '?fail=1')
      const failed = await open(`/api/channel/${name}`)
      await failed.finished
      expect([failed.data, failed.controls.at(-1)]).toMatchObject([[{ n: 1 }], { type: 'error', code: 'TOLD', statusCode: 409 }])
    })

    it('ends the streams and waiting polls of a client key, and no other; with `leave`, clients reconnect', async () => {
      const channel = newName()
      const [mine, other] = [newName(), newName()]
      const keyed = (key: string, query = '') => fetch(`${server.url}/api/keyed/${channel}${query}`, { headers: { 'x-user': key } })
      const streamOf = (key: string) => open(`/api/keyed/${channel}`, { headers: { 'x-user': key } })
      const disconnect = (key: string, query = '') => fetch(`${server.url}/api/keyed/${encodeURIComponent(key)}${query}`, { method: 'DELETE' })
      const readers = await Promise.all([mine, mine, mine, other].map(streamOf))
      await Promise.all(readers.map(reader => reader.until(({ controls }) => controls.length > 0)))
      const poll = keyed(mine, '?transport=poll&waitMs=60000')
      await eventually(async () => expect((await told()).polls).toBe(1))
      expect((await disconnect(mine)).status).toBeLessThan(300)
      await Promise.all(readers.slice(0, 3).map(({ finished }) => finished))
      for (const reader of readers.slice(0, 3)) expect(reader.controls.at(-1)).toEqual({ type: 'error', code: 'DISCONNECTED', statusCode: 401, message: 'You were disconnected.', retry: false })
      expect((await poll).status).toBe(401)
      expect(readers[3]!.controls.at(-1)).toMatchObject({ type: 'open' })
      expect((await disconnect(other, '?leave=1')).status).toBeLessThan(300)
      await readers[3]!.finished
      expect(readers[3]!.controls.at(-1)).toMatchObject({ type: 'leave' })
      expect((await disconnect('x'.repeat(513))).status).toBe(400)
    })

    it(`reaches ${READERS} readers, each with every message once and in order`, async () => {
      newName()
      const readers = await Promise.all(Array.from({ length: READERS }, () => open(`/api/channel/${name}`)))
      await Promise.all(readers.map(reader => reader.until(({ controls }) => controls.length === 1)))
      const numbers = Array.from({ length: 50 }, (_, n) => ({ n }))
      await publish(name, numbers.slice(0, 25))
      await Promise.all(numbers.slice(25).map(number => publish(name, number)))
      await Promise.all(readers.map(reader => reader.until(({ data }) => data.length === 50, 20_000)))
      for (const reader of readers) {
        expect(reader.messages.map(({ id }) => Number(id!.split('.')[1]))).toEqual(numbers.map(({ n }) => n + 1))
        expect(reader.data.slice(0, 25)).toEqual(numbers.slice(0, 25))
        expect(new Set(reader.data.map(data => (data as { n: number }).n)).size).toBe(50)
      }
      await Promise.all(readers.map(reader => reader.close()))
    })

    it('does not pull a source for a client that does not read, and loses nothing when it does', async () => {
      const id = newName()
      const controller = new AbortController()
      const response = await fetch(`${server.url}/api/generator?id=${id}`, { signal: controller.signal })
      // The source offers 32 MB. The server takes as much as the sockets on both ends hold, and no more while it answers many other requests.
      let yielded = await toldSum(`${id}:yielded`, 1)
      for (let answers = 0; answers < 30; answers++) {
        const now = await toldSum(`${id}:yielded`, 1)
        if (now > yielded) answers = 0
        yielded = now
      }
      expect(yielded).toBeLessThan(1_000)
      const text = await response.text()
      expect(text.match(/^data: \{"n":\d+/gm)?.map(line => Number(line.slice(11)))).toEqual(Array.from({ length: 2_000 }, (_, n) => n + 1))
      expect(text.endsWith('event: sse\ndata: {"type":"end"}\n\n')).toBe(true)
      expect(await toldSum(`${id}:released`, 1)).toBe(1)
    })

    it('detects a disconnect, cleans up once, and leaves nothing', async () => {
      const id = newName()
      const pushed = await open(`/api/push?id=${id}`)
      const reader = await open(`/api/channel/${id}`)
      const generator = await open(`/api/generator?id=${id}&to=1000000`)
      await Promise.all([pushed, reader, generator].map(one => one.until(({ controls }) => controls.length > 0)))
      await Promise.all([pushed, reader, generator].map(one => one.close()))
      expect(await toldSum(`${id}:cleaned`, 1)).toBe(1)
      expect(await toldSum(`${id}:aborted`, 1)).toBe(1)
      expect(await toldSum(`${id}:released`, 1)).toBe(1)
      await eventually(async () => {
      // Several processes answer in turn, so a few answers in a row cover all of them.
        for (let asked = 0; asked < 4; asked++) expect((await told()).connections).toBe(0)
      })
    })

    it('ends a poll when its client disconnects', async () => {
      const polls = async () => {
        let most = 0
        for (let asked = 0; asked < 4; asked++) most = Math.max(most, (await told()).polls!)
        return most
      }
      const leave = async (how: 'destroy' | 'resetAndDestroy', waitMs: number) => {
        const { socket } = await RawSocket.get(server.url, `/api/channel/${newName()}?transport=poll&waitMs=${waitMs}`)
        await eventually(async () => expect(await polls()).toBe(1))
        socket[how]()
        await eventually(async () => expect(await polls()).toBe(0))
      }
      // Longer than the limit of this test, or long enough to be seen.
      await leave('resetAndDestroy', noticesPollLeft === 'never' ? 1_500 : 60_000)
      await leave('destroy', noticesPollLeft === 'close' ? 60_000 : 1_500)
    })

    it('answers HEAD with headers alone', async () => {
      const response = await fetch(`${server.url}/api/any`, { method: 'HEAD' })
      expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([200, 'text/event-stream', ''])
    })

    it.runIf(reachesRedis && memory)('shares channels with other processes through Redis', async () => {
      const [one, two] = await Promise.all([1, 2].map(() => start(redisEnv())))
      await using reader = await SSEReader.open(`${one!.url}/api/channel/${newName()}`)
      await reader.until(({ controls }) => controls.length === 1)
      await fetch(`${two!.url}/api/publish/${name}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"n":1}' })
      await reader.until(({ data }) => data.length === 1)
      await Promise.all([one!.stop(), two!.stop()])
    })

    it.runIf(signals)('makes clients reconnect when a signal stops it, and exits at once', async () => {
      const leaving = await start(env?.() ?? {})
      const readers = await Promise.all(Array.from({ length: 10 }, () => SSEReader.open(`${leaving.url}/api/channel/${newName()}`)))
      await Promise.all(readers.map(reader => reader.until(({ controls }) => controls.length === 1)))
      const { code, ms } = await leaving.stop('SIGTERM')
      expect(code).toBe(0)
      expect(ms).toBeLessThan(LOADED_MS)
      await Promise.all(readers.map(reader => reader.finished))
      for (const { controls } of readers) expect(controls.at(-1)).toEqual({ type: 'leave', retryMs: expect.any(Number) })
    })

    for (const [keptIn, endEnv] of [...memory ? [['memory', () => ({})] as const] : [], ...reachesRedis ? [['Redis', redisEnv] as const] : []]) {
      it.runIf(signals)(`lets clean-ups, generators and hooks publish during a shutdown, and calls the hook close last: ${keptIn}`, async () => {
        const leaving = await start(endEnv())
        const readers = await openForTheEnd(leaving)
        const { code, ms } = await leaving.stop('SIGTERM')
        expectAllKept(leaving.output())
        expect(code).toBe(0)
        expect(ms).toBeLessThan(LOADED_MS)
        await Promise.all(readers.map(reader => reader.finished))
        for (const { controls } of readers) expect(controls.at(-1)).toMatchObject({ type: 'leave' })
      })
    }

    it('runs a job once for many clients, attaches the others, and continues when the first leaves', async () => {
      await using first = await open(`/api/run/${newName()}?to=100000&everyMs=20`)
      await first.until(({ data }) => data.length > 2)
      const others = await Promise.all([1, 2, 3].map(() => open(`/api/run/${name}?to=100000&everyMs=20`)))
      await Promise.all(others.map(reader => reader.until(({ data }) => data.length > 2)))
      await first.close()
      const left = Math.max(...others.map(({ data }) => data.length))
      await Promise.all(others.map(reader => reader.until(({ data }) => data.length > left + 25, 20_000)))
      for (const reader of [first, ...others]) expectOneRun(reader.data)
      expect(new Set([first, ...others].map(({ data }) => runOf(data))).size).toBe(1)

      const stopped = await (await fetch(`${server.url}/api/run/${name}`, { method: 'DELETE' })).json()
      expect(stopped).toMatchObject({ ended: true, running: false, error: { code: 'ABORTED' } })
      await Promise.all(others.map(reader => reader.finished))
      for (const { controls } of others) expect(controls.at(-1)).toMatchObject({ type: 'error', code: 'ABORTED', retry: false })
      expect(await toldSum(`${name}:released`, 1)).toBe(1)
    })

    it('runs to its end without readers', async () => {
      const first = await open(`/api/run/${newName()}?to=50&everyMs=10`)
      await first.until(({ data }) => data.length > 2)
      await first.close()
      await eventually(async () => expect(await poll(name, 'position=start&waitMs=0')).toMatchObject({ ended: true }), 20_000)
      const { messages } = await poll(name, 'position=start')
      expect(messages).toHaveLength(50)
      expectOneRun(messages.map(({ data }) => data))
      expect(await toldSum(`${name}:released`, 1)).toBe(1)
    })

    it('pipes a fetched event stream into a channel after the response to its request', async () => {
      const provider = await startScriptedServer()
      provider.script(exchange => void exchange.stream())
      expect(await (await fetch(`${server.url}/api/pipe/${newName()}?url=${provider.url}`, { method: 'POST' })).json()).toEqual({ status: 200 })
      await using reader = await open(`/api/channel/${name}`)
      const [exchange] = provider.exchanges
      exchange!.write('data: {"n":1}\r\n\r\ndata: {"n"')
      await reader.until(({ data }) => data.length === 1)
      exchange!.write(':2}\n\nevent: named\ndata: {"n":3}\n\n')
      await reader.until(({ data }) => data.length === 3)
      exchange!.write('data: [DONE]\n\n')
      await reader.finished
      expect(reader.messages.map(({ event, data }) => [event, data])).toEqual([[undefined, { n: 1 }], [undefined, { n: 2 }], ['named', { n: 3 }]])
      expect(reader.controls.at(-1)).toEqual({ type: 'end' })
      await provider.close()
    })

    it('continues a resumable generator over either transport, and stops one without returning clients', async () => {
      const path = `/api/resumable?id=${newName()}&to=100000&everyMs=20`
      const first = await open(path)
      await first.until(({ data }) => data.length > 4)
      await first.close()
      const position = first.position!
      const batch = await (await fetch(`${server.url}${path}&transport=poll&position=${position}`)).json() as { messages: { data: unknown }[], position: string, ended: boolean, gap: unknown }
      expect(batch).toMatchObject({ ended: false, gap: null })
      const second = await open(path, { headers: { 'last-event-id': batch.position } })
      await second.until(({ data }) => data.length > 4)
      await second.close()
      expect(second.controls).toMatchObject([{ type: 'open', resumed: true }])
      expectOneRun([...first.data, ...batch.messages.map(({ data }) => data), ...second.data])
      expect(await toldSum(`${name}:released`, 1)).toBe(1)
    })

    // The last test: it checks the effects of all others.
    it('leaves no promise rejection unhandled', () => {
      expect(server.output()).not.toMatch(/unhandled|uncaught|different request/i)
    })
  })
}
