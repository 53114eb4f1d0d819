import type { ServerResponse } from 'node:http'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createResumableStreamContext } from 'resumable-stream/ioredis'
import type { H3Event } from 'h3'
import { defineSSEHandler, useSSEChannel } from '#sse/server'
import { message } from './bench-messages'

/** Entries per XRANGE, as in a typical hand-written loop. */
const PAGE = 1_000
const FILL_AT_ONCE = 500
const RETENTION = { maxMessages: 1_000_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }

const url = process.env.NUXT_SSE_REDIS_URL!
let client: Redis | undefined
const bareClient = () => client ??= new Redis(url, { enableAutoPipelining: true })
let plain: Redis | undefined
const pipeliningClient = () => plain ??= new Redis(url)
const replayed = useSSEChannel('replay', { retention: RETENTION })
const published = useSSEChannel('published', { retention: RETENTION })

export interface RedisPeer {
  /** Publishes one message. */
  publish?(data: unknown): Promise<unknown>
  /** Stores `count` messages in Redis. */
  fill(count: number): Promise<void>
  replay(event: H3Event): unknown
  /**
   * Produces an answer of `count` tokens, one every `everyMs`, and leaves it open. Resolves when Redis, or the peer's own store, has all of
   * it.
   */
  answer?(name: string, count: number, everyMs: number): Promise<void>
  /** Stream of a client that reconnects to the answer. */
  resume?(event: H3Event): unknown
}

let waiting: { data: unknown, done: () => void }[] = []

/** Publishes all messages of a tick in one pipeline: the minimum that ioredis does for them. */
function pipelined(data: unknown): Promise<void> {
  if (waiting.length === 0) {
    setImmediate(async () => {
      const batch = waiting
      waiting = []
      const pipeline = pipeliningClient().pipeline()
      for (const { data } of batch) pipeline.xadd('bare:published', '*', 'd', JSON.stringify(data))
      await pipeline.exec()
      for (const { done } of batch) done()
    })
  }
  return new Promise(done => waiting.push({ data, done }))
}

/** Peers of the Redis rows. `replay` sends all stored messages to a new reader, `resume` those of an answer in progress. */
export const redisPeers: Record<string, RedisPeer> = {
  'ours': {
    publish: data => published.publish(data),
    async fill(count) {
      for (let n = 0; n < count; n += FILL_AT_ONCE) await Promise.all(Array.from({ length: FILL_AT_ONCE }, (_, i) => replayed.publish(message(n + i))))
    },
    replay: defineSSEHandler(() => replayed),
    async answer(name, count, everyMs) {
      const answered = answerOf(name)
      await answered.run(() => tokens(count, everyMs), { ifEnded: 'restart' })
      await sleep(count * everyMs)
      while ((await answered.info()).lastOffset < count) await sleep(10)
    },
    resume: defineSSEHandler(event => answerOf(nameOf(event))),
  },
  'bare': {
    publish: data => pipelined(data),
    async fill(count) {
      for (let n = 0; n < count; n++) await bareClient().xadd('bare:replay', '*', 'd', JSON.stringify(message(n)))
    },
    async replay(event) {
      const res = begin(event)
      let after = '-'
      while (true) {
        const entries = await bareClient().xrange('bare:replay', after, '+', 'COUNT', PAGE)
        for (const [id, fields] of entries) res.write(`id: ${id}\ndata: ${fields[1]}\n\n`)
        if (entries.length < PAGE) return
        after = `(${entries.at(-1)![0]}`
      }
    },
  },
  // Lower bound for any peer on this route: the answer as one text, from memory or from Redis.
  'text-in-memory': {
    fill: async () => {},
    replay: () => {},
    async answer(_, count) {
      await bareClient().set('bare:answer', textOf(count))
    },
    async resume(event) {
      // Fetched once, then kept in memory.
      answerText ??= (await bareClient().get('bare:answer'))!
      begin(event).write(answerText)
    },
  },
  'text-in-Redis': {
    fill: async () => {},
    replay: () => {},
    async answer(_, count) {
      await bareClient().set('bare:answer', textOf(count))
    },
    async resume(event) {
      const res = begin(event)
      res.write(await bareClient().get('bare:answer'))
    },
  },
  'bare, automatic': {
    publish: data => bareClient().xadd('bare:published', '*', 'd', JSON.stringify(data)),
    fill: async () => {},
    replay: () => {},
  },
  'resumable-stream': {
    async fill(count) {
      const { promise: filled, resolve } = Promise.withResolvers<void>()
      const stream = await resumable().createNewResumableStream('replay', () => new ReadableStream<string>({
        start(controller) {
          for (let n = 0; n < count; n++) controller.enqueue(`data: ${JSON.stringify(message(n))}\n\n`)
          // Stays open: this peer does not resume an answer that has ended.
          resolve()
        },
      }))
      void stream?.pipeTo(new WritableStream())
      await filled
    },
    async replay(event) {
      const res = begin(event)
      const stream = await resumable().resumeExistingStream('replay')
      for await (const text of stream ?? []) res.write(text)
    },
    async answer(name, count, everyMs) {
      const produced = Promise.withResolvers<void>()
      const stream = await resumable().createNewResumableStream(`answer ${name}`, () => ReadableStream.from((async function* () {
        let n = 0
        for await (const token of tokens(count, everyMs)) {
          yield `data: ${JSON.stringify(token)}\n\n`
          if (++n === count - 1) produced.resolve()
        }
      })()))
      void stream?.pipeTo(new WritableStream())
      await produced.promise
      await sleep(2 * everyMs)
    },
    async resume(event) {
      const res = begin(event)
      const stream = await resumable().resumeExistingStream(`answer ${nameOf(event)}`)
      for await (const text of stream ?? []) res.write(text)
    },
  },
}

let answerText: string | undefined
const textOf = (count: number) => Array.from({ length: count }, (_, n) => `data: ${JSON.stringify(message(n))}\n\n`).join('')

const answerOf = (name: string) => useSSEChannel(`answer ${name}`, { retention: RETENTION })
const nameOf = (event: H3Event) => String(getQuery(event).name)

/** Tokens of an answer at a model's pace; it does not end while it is being measured. */
async function* tokens(count: number, everyMs: number): AsyncGenerator<unknown> {
  const began = performance.now()
  for (let n = 0; n < count; n++) {
    const waitMs = began + n * everyMs - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    yield message(n)
  }
  await new Promise(() => {})
}

let context: ReturnType<typeof createResumableStreamContext> | undefined
function resumable() {
  return context ??= createResumableStreamContext({ waitUntil: null, publisher: new Redis(url), subscriber: new Redis(url) })
}

function begin(event: H3Event): ServerResponse {
  const { res } = event.node
  event._handled = true
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  return res
}
