import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SpanKind, SpanStatusCode, context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { defineEventHandler } from 'h3'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createRedisDriver } from '../../../src/runtime/server/drivers/redis/redis'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import { eventually } from '../../support/conditions'
import { readBlocks, readPage } from '../../support/markdown'
import { rootDir } from '../../support/projects'
import { SSEReader } from '../../support/read-sse'
import { startRedis } from '../../support/redis'
import { useSSEServers } from '../../support/sse-server'

/** Runs the example of docs/operate/tracing.md with the SDK of OpenTelemetry. */

const start = useSSEServers()
const exporter = new InMemorySpanExporter()
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
const tracer = provider.getTracer('test')
const contexts = new AsyncLocalStorageContextManager()
const dir = join(rootDir, 'test/fixtures/.tracing')

beforeAll(async () => {
  const block = readBlocks(await readPage('docs/operate/tracing.md')).find(({ file }) => file === 'server/utils/trace-sse.ts')!
  await mkdir(dir, { recursive: true })
  const path = join(dir, 'trace-sse.ts')
  await writeFile(path, block.text)
  context.setGlobalContextManager(contexts.enable())
  const { traceSSE } = await import(path)
  traceSSE(tracer)
})
afterAll(async () => {
  context.disable()
  await rm(dir, { recursive: true, force: true })
})
beforeEach(() => exporter.reset())

const spans = (name: string) => exporter.getFinishedSpans().filter(span => span.name === name)
const linked = ({ links }: ReadableSpan) => links.map(link => link.context.spanId)

async function within<T>(name: string, task: () => Promise<T>): Promise<{ spanId: string, result: T }> {
  return tracer.startActiveSpan(name, async (span) => {
    try {
      return { spanId: span.spanContext().spanId, result: await task() }
    }
    finally {
      span.end()
    }
  })
}

const milliseconds = ([seconds, nanoseconds]: [number, number]) => seconds * 1_000 + nanoseconds / 1e6

describe('spans of OpenTelemetry', () => {
  it('has one for each stream, which begins with the request and ends when the stream opens', async () => {
    const server = await start({ heartbeatMs: false })
    const channel = server.channel('feed')
    let parent: string | undefined
    let open!: () => void
    const opening = new Promise<void>(resolve => open = resolve)
    server.route('/feed/:id', () => channel)
    server.route('/slow', async () => {
      const { spanId } = await within('request', async () => opening)
      parent = spanId
      return channel
    })
    await using reader = await SSEReader.open(`${server.url}/feed/7?position=now`)
    await reader.until(({ controls }) => controls.length === 1)
    expect(spans('SSE /feed/:id')).toMatchObject([{ ended: true, attributes: { 'http.route': '/feed/:id', 'sse.channel': 'feed', 'sse.resumed': false } }])

    const asked = performance.now()
    const slow = SSEReader.open(`${server.url}/slow`)
    await eventually(() => expect(performance.now() - asked).toBeGreaterThan(40))
    expect(spans('SSE /slow')).toEqual([])
    open()
    await using other = await slow
    await other.until(({ controls }) => controls.length === 1)
    const [span] = spans('SSE /slow')
    expect(milliseconds(span!.duration)).toBeGreaterThan(30)
    expect(milliseconds(span!.duration)).toBeLessThan(performance.now() - asked + 5)
    expect(parent).toBeTypeOf('string')
    // The streams stay open: their spans have ended all the same.
    expect(server.context.connections.size).toBe(2)
  })

  it('has the active span of the request as parent', async () => {
    const server = await start()
    let spanId: string | undefined
    server.use('/traced', defineEventHandler(event => tracer.startActiveSpan('request', async (span) => {
      spanId = span.spanContext().spanId
      const answer = await server.stream(event, async (_, connection) => void connection.push('one'))
      span.end()
      return answer
    })))
    await using reader = await SSEReader.open(`${server.url}/traced`)
    await reader.until(({ data }) => data.length === 1)
    expect(exporter.getFinishedSpans().filter(({ name }) => name.startsWith('SSE'))).toMatchObject([{ parentSpanContext: { spanId } }])
  })

  it('has one with the error of a refused request', async () => {
    const server = await start()
    server.route('/none', () => {
      throw Object.assign(new Error('no'), { statusCode: 403 })
    })
    await fetch(`${server.url}/none`)
    expect(spans('SSE /none')).toMatchObject([{ status: { code: SpanStatusCode.ERROR, message: 'Error: no' }, attributes: { 'error.type': 'HTTP_403' } }])
  })

  it('links a delivery to the publishes of its messages, whatever the number of readers', async () => {
    const server = await start()
    const channel = server.channel<number>('feed')
    server.route('/feed', () => channel)
    const readers = await Promise.all(Array.from({ length: 5 }, () => SSEReader.open(`${server.url}/feed?position=now`)))
    for (const reader of readers) await reader.until(({ controls }) => controls.length === 1)
    const { spanId, result: ids } = await within('work', () => Promise.all([1, 2, 3].map(n => channel.publish(n))))
    for (const reader of readers) await reader.until(({ data }) => data.length === 3)
    await eventually(() => expect(spans('SSE deliver')).toHaveLength(1))
    const published = spans('SSE publish')
    expect(published.map(({ attributes, parentSpanContext, kind }) => [attributes['sse.ids'], parentSpanContext?.spanId, kind])).toEqual(ids.map(id => [[id], spanId, SpanKind.PRODUCER]))
    const [delivered] = spans('SSE deliver')
    expect(delivered).toMatchObject({ kind: SpanKind.CONSUMER, attributes: { 'sse.channel': 'feed', 'sse.ids': ids, 'sse.readers': 5 } })
    expect(delivered!.parentSpanContext).toBeUndefined()
    expect(linked(delivered!)).toEqual(published.map(span => span.spanContext().spanId))
    await Promise.all(readers.map(reader => reader.close()))
  })

  it('have a failed publish', async () => {
    const server = await start({ maxMessageBytes: 1_000 })
    await expect(server.channel('feed').publish('x'.repeat(2_000))).rejects.toThrow()
    expect(spans('SSE publish')).toMatchObject([{ status: { code: SpanStatusCode.ERROR }, attributes: { 'sse.channel': 'feed', 'sse.ids': [] } }])
  })

  it('have the messages of a pipe, and not what a client missed and is replayed', async () => {
    const server = await start()
    const channel = server.channel<number>('feed')
    server.route('/feed', () => channel)
    const first = await channel.publish(0)
    await channel.publish(1)
    await using reader = await SSEReader.open(`${server.url}/feed`, { headers: { 'last-event-id': first } })
    await reader.until(({ data }) => data.length === 1)
    expect(spans('SSE deliver')).toEqual([])
    exporter.reset()
    await channel.pipe([2, 3])
    await reader.until(({ data }) => data.length === 3)
    await eventually(() => expect(spans('SSE deliver').flatMap(({ attributes }) => attributes['sse.ids'])).toHaveLength(2))
    const ids = spans('SSE publish').flatMap(({ attributes }) => attributes['sse.ids'])
    expect(spans('SSE deliver').flatMap(({ attributes }) => attributes['sse.ids'])).toEqual(ids)
  })

  it('shorten the key to a resumable run', async () => {
    const server = await start()
    server.route('/run', async function* () {
      yield 'a'
    }, { resumable: true })
    await using reader = await SSEReader.open(`${server.url}/run`)
    await reader.finished
    const secret = /"position":"(e[0-9a-z]{26,})/.exec(reader.raw)?.[1] ?? reader.messages[0]!.id!.split('.')[0]!
    expect(secret.length).toBeGreaterThan(26)
    await eventually(() => expect(spans('SSE publish')).toHaveLength(1))
    expect(JSON.stringify(exporter.getFinishedSpans().map(({ name, attributes }) => [name, attributes]))).not.toContain(secret)
  })

  it('of two instances on one Redis share the ID of the message', async () => {
    const redis = await startRedis()
    const servers = await Promise.all([1, 2].map(() => start({}, createRedisDriver({ createClient: options => new Redis(redis.url, options) }, DEFAULT_HANDLER_OPTIONS.retention))))
    try {
      const [one, two] = servers
      two!.route('/feed', () => two!.channel('feed'))
      await using reader = await SSEReader.open(`${two!.url}/feed?position=now`)
      await reader.until(({ controls }) => controls.length === 1)
      const id = await one!.channel('feed').publish('x')
      await reader.until(({ data }) => data.length === 1)
      await eventually(() => expect(spans('SSE deliver')).toHaveLength(1))
      const [published, delivered] = [spans('SSE publish')[0]!, spans('SSE deliver')[0]!]
      expect([published.attributes['sse.ids'], delivered.attributes['sse.ids']]).toEqual([[id], [id]])
      // Whichever is first: here both are in one process, and linked.
      expect([...linked(published), ...linked(delivered)]).toHaveLength(1)
      await reader.close()
    }
    finally {
      await Promise.all(servers.map(server => server.close()))
      await redis.stop()
    }
  })
})
