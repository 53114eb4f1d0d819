import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SSEError } from '../../../src/runtime/test'
import { collectSSE, readSSE } from '../../../src/runtime/test'
import { createError, readBody } from 'h3'
import { freePort } from '../../support/built-server'
import { eventually } from '../../support/conditions'
import type { ScriptedServer } from '../../support/scripted-server'
import { startScriptedServer } from '../../support/scripted-server'
import { useSSEServer } from '../../support/sse-server'

const server = useSSEServer({ retryMs: 100 })
beforeEach(() => {
  server.route('/three', async function* () {
    for (const n of [1, 2, 3]) yield { n }
  })
  server.route('/endless', async function* (event) {
    for (let n = 1; ; n++) {
      yield { n, asked: event.node.req.headers['x-asked'] }
      await new Promise(resolve => setTimeout(resolve, 1))
    }
  })
  server.route('/mute', () => {})
  server.route('/feed', () => server.channel('feed'))
  server.route('/body', async event => [await readBody(event)].values())
  server.route('/private', () => {
    throw createError({ statusCode: 401, message: 'Who are you?' })
  })
})
afterEach(async () => {
  // The collector has left.
  await eventually(() => expect(server.context.connections.size).toBe(0))
})

const failure = (promise: Promise<unknown>) => promise.then(() => expect.unreachable('It resolved.'), (error: SSEError) => error) as Promise<SSEError>

describe('collectSSE', () => {
  it('reads a stream to its end, with status, headers and control messages', async () => {
    const got = await collectSSE<{ n: number }>(`${server.url}/three`)
    expect(got.status).toBe(200)
    expect(got.headers.get('content-type')).toBe('text/event-stream')
    expect(got.messages).toEqual([1, 2, 3].map(n => ({ id: undefined, event: undefined, data: { n } })))
    expect(got.data.map(({ n }) => n)).toEqual([1, 2, 3])
    expect(got.controls.map(({ type }) => type)).toEqual(['open', 'end'])
    expect(got.retryMs).toBeGreaterThanOrEqual(50)
    expect(got.raw).toContain('data: {"n":3}\n\n')
  })

  it('leaves after the requested number of messages, and returns no more, whatever arrived in the same packet', async () => {
    const { data, controls } = await collectSSE(`${server.url}/three`, { count: 2 })
    expect(data).toEqual([{ n: 1 }, { n: 2 }])
    expect(controls.map(({ type }) => type)).toEqual(['open'])
    expect((await collectSSE(new URL('/endless', server.url), { count: 5 })).data).toHaveLength(5)
  })

  it('leaves after the message that matches `until`, calling it once for each', async () => {
    const asked: number[] = []
    const { data } = await collectSSE<{ n: number }>(`${server.url}/endless`, { until: ({ data: { n } }, messages) => {
      asked.push(n)
      return messages.length === 4
    } })
    expect(data.map(({ n }) => n)).toEqual([1, 2, 3, 4])
    expect(asked).toEqual([1, 2, 3, 4])
  })

  it('sends headers, a body and a query, and resumes after a position', async () => {
    expect((await collectSSE<{ asked: string }>(`${server.url}/endless`, { count: 1, headers: { 'x-asked': 'yes' } })).data[0]).toMatchObject({ asked: 'yes' })
    expect((await collectSSE(`${server.url}/body`, { body: { prompt: 'Hi' } })).data).toEqual([{ prompt: 'Hi' }])
    for (const n of [1, 2, 3]) await server.channel('feed').publish(n)
    const first = await collectSSE(`${server.url}/feed`, { count: 1, query: { from: undefined, x: 1 } })
    expect(first.position).toBe(first.messages[0]!.id)
    const rest = await collectSSE(`${server.url}/feed`, { count: 2, position: first.position })
    expect(rest.data).toEqual([2, 3])
    expect((await collectSSE(`${server.url}/feed`, { count: 1, position: 2 })).data).toEqual([3])
  })

  it('returns a response with an error status as it is, and fails only if it waits for a message', async () => {
    const { status, messages, raw } = await collectSSE(`${server.url}/private`)
    expect([status, messages, JSON.parse(raw).message]).toEqual([401, [], 'Who are you?'])
    const error = await failure(collectSSE(`${server.url}/private`, { count: 1 }))
    expect(error).toMatchObject({ code: 'COLLECT_ENDED', details: { received: { status: 401, messages: [] } } })
    expect(error.message).toContain('Who are you?')
  })

  it('reports on a timeout what it has received', async () => {
    await server.channel('feed').publish('one')
    const error = await failure(collectSSE(`${server.url}/feed`, { count: 2, timeoutMs: 100 }))
    expect(error).toMatchObject({ code: 'COLLECT_TIMEOUT', details: { received: { status: 200, messages: [{ data: 'one' }], controls: [{ type: 'open' }] } } })
    expect(error.message).toMatch(/within \d+ ms\. It answered 200, text\/event-stream\. Received so far \(messages: 1, control messages: 1\):\n.*data: "one"/s)
  })

  it('reports when a stream is over too early', async () => {
    const error = await failure(collectSSE(`${server.url}/three`, { count: 4 }))
    expect(error).toMatchObject({ code: 'COLLECT_ENDED', details: { received: { messages: { length: 3 } } } })
  })

  it('reports when no server answers, and when the answer never comes', async () => {
    expect(await failure(collectSSE(`http://127.0.0.1:${await freePort()}/`))).toMatchObject({ code: 'NETWORK', message: expect.stringContaining('Is the server running?') })
    const scripted: ScriptedServer = await startScriptedServer()
    scripted.script(() => {})
    expect(await failure(collectSSE(scripted.url, { timeoutMs: 50 }))).toMatchObject({ code: 'COLLECT_TIMEOUT', message: expect.stringContaining('no headers came') })
    await scripted.close()
  })

  it('reads data that is not JSON as plain text, also from servers that are not ours', async () => {
    const scripted = await startScriptedServer()
    scripted.script(exchange => exchange.stream('event: sse\ndata: hm\n\nid: 7\ndata: plain\n\n').end())
    expect(await collectSSE(scripted.url)).toMatchObject({ data: ['plain'], controls: ['hm'], position: '7' })
    await scripted.close()
  })

  it.each([
    ['/feed', {}, 'Expected `url` to be absolute, as `url(\'/api/feed\')` of `@nuxt/test-utils` gives it, got `"/feed"`.'],
    ['http://127.0.0.1/', { count: 0 }, 'Expected `count` to be a whole number, at least 1, got `0`.'],
    ['http://127.0.0.1/', { timeoutMs: -1 }, 'Expected `timeoutMs` to be a number of milliseconds, more than 0, got `-1`.'],
    ['http://127.0.0.1/', { until: 'done' as never }, 'Expected `until` to be a function of the message, got `"done"`.'],
  ])('refuses %s with %j', async (url, options, sentence) => {
    expect(await failure(collectSSE(url, options))).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining(sentence) })
  })
})

describe('readSSE', () => {
  it('resolves when the route has answered, and continues reading while a test does its work', async () => {
    const reader = await readSSE<string>(`${server.url}/feed`, { position: 'now' })
    await reader.until(({ controls }) => controls.length === 1)
    await server.channel('feed').publish('Hello', { event: 'greeting' })
    await reader.until(({ messages }) => messages.length === 1)
    expect(reader.messages).toEqual([{ id: reader.position, event: 'greeting', data: 'Hello' }])
    expect(reader.cut).toBe(false)
    await reader.close()
    expect(reader.cut).toBe(true)
  })

  it('passes on what a condition throws', async () => {
    const reader = await readSSE(`${server.url}/mute`)
    await expect(reader.until(() => {
      throw new Error('mine')
    })).rejects.toThrow('mine')
    await reader.close()
  })
})
