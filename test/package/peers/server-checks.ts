import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { createChannel, createSession } from 'better-sse'
import { defineEventHandler } from 'h3'
import { Redis } from 'ioredis'
import { createResumableStreamContext } from 'resumable-stream/ioredis'
import { expect, vi } from 'vitest'
import { createRedisDriver } from '../../../src/runtime/server/drivers/redis/redis'
import { eventually } from '../../support/conditions'
import { turns } from '../../support/random'
import { SSEReader } from '../../support/read-sse'
import { startRedis } from '../../support/redis'
import { startSSEServer } from '../../support/sse-server'
import type { Checks } from './check'
import { BETTER_SSE, H3, OURS, RESUMABLE_STREAM, UPSTASH } from './check'
import type { Peers, ServerPeer } from './server-peers'
import { startPeers } from './server-peers'

const RETENTION = { maxMessages: 1_000, maxAgeMs: 60_000, maxBytes: 67_108_864 }
/** More than the kernel takes on both sides of a local socket before a write reports that it is full. */
const MANY_BYTES = 16 * 1_048_576
const CHUNK = 'x'.repeat(100_000)

async function withPeer<T>(name: 'ours' | 'h3' | 'betterSse', task: (peer: ServerPeer, peers: Peers) => Promise<T>): Promise<T> {
  const peers = await startPeers()
  try {
    return await task(peers[name], peers)
  }
  finally {
    await peers.close()
  }
}

/** For all that look at the three in the same way. */
const each = (check: (peer: ServerPeer, peers: Peers) => Promise<boolean>) => ({
  [OURS]: () => withPeer('ours', check),
  [H3]: () => withPeer('h3', check),
  [BETTER_SSE]: () => withPeer('betterSse', check),
})

/** Two messages, of which the second is published while the reader is away, and a third when it is back. */
async function comeBack(peer: ServerPeer, { server }: Peers): Promise<SSEReader> {
  const here = (path: string, headers: Record<string, string> = {}) => SSEReader.open(server.url + path, { headers })
  const first = here(peer.path)
  await eventually(() => expect(peer.size).toBe(1))
  await peer.publish('one', '1')
  const reader = await first
  await reader.until(({ raw }) => raw.includes('one'))
  const { id } = reader.events.findLast(({ event }) => event !== 'sse')!
  await reader.close()
  await eventually(() => expect(peer.size).toBe(0))
  await peer.publish('two', '2')
  const second = here(peer.path, { 'last-event-id': id! })
  await eventually(() => expect(peer.size).toBe(1))
  await peer.publish('three', '3')
  return (await second).until(({ raw }) => raw.includes('three'))
}

const givesWhatWasMissed = each(async (peer, peers) => {
  const reader = await comeBack(peer, peers)
  const found = reader.raw.includes('two')
  await reader.close()
  return found
})

/** Two processes, as far as Redis knows. A killed one releases its connections silently. */
async function onRedis<T>(task: (open: () => Promise<ReturnType<typeof openContext>>, url: string) => Promise<T>): Promise<T> {
  const redis = await startRedis()
  const open: ReturnType<typeof openContext>[] = []
  try {
    return await task(async () => {
      const context = openContext(redis.url)
      open.push(context)
      return context
    }, redis.url)
  }
  finally {
    for (const { kill } of open) await kill()
    await redis.stop()
  }
}

function openContext(url: string) {
  const clients = [new Redis(url), new Redis(url)]
  const context = createResumableStreamContext({ waitUntil: null, subscriber: clients[0], publisher: clients[1] })
  return {
    ...context,
    async kill() {
      // The library handles no rejection of the commands that it has sent without waiting for them.
      await Promise.all(clients.map(client => client.status === 'ready' && client.ping()))
      for (const client of clients) client.disconnect()
    },
  }
}

/** A source that yields on command. */
function openSource(): { stream: ReadableStream<string>, give(text: string): void, end(): void } {
  let controller!: ReadableStreamDefaultController<string>
  const stream = new ReadableStream<string>({ start: given => void (controller = given) })
  return { stream, give: text => controller.enqueue(text), end: () => controller.close() }
}

/** Half an answer; a reader on another instance has its first word. */
const resumedElsewhere = () => onRedis(async (open) => {
  const [here, there] = [await open(), await open()]
  const source = openSource()
  const reader = (await here.createNewResumableStream('answer', () => source.stream))!.getReader()
  source.give('one ')
  source.give('two')
  await reader.read()
  await reader.read()
  const resumed = await there.resumeExistingStream('answer', 'one '.length)
  return (await resumed!.getReader().read()).value === 'two'
})

const withRedisServers = (task: (one: Awaited<ReturnType<typeof startSSEServer>>, two: typeof one) => Promise<boolean>) => async () => {
  const redis = await startRedis()
  const servers = await Promise.all([1, 2].map(() => startSSEServer({}, createRedisDriver({ createClient: options => new Redis(redis.url, options) }, RETENTION))))
  const [one, two] = servers as [typeof servers[0], typeof servers[0]]
  two.route('/', () => two.channel<string>('feed'))
  try {
    return await task(one, two)
  }
  finally {
    await Promise.all(servers.map(server => server.close()))
    await redis.stop()
  }
}

/** Pushes as fast as it may, to a client that has sent its request and does not read; `false` if that is without end. */
const bounded = (path: (peer: ServerPeer) => string) => async (peer: ServerPeer, { server }: Peers) => {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.on('error', () => {})
  socket.pause()
  socket.write(`GET ${path(peer)} HTTP/1.1\r\nHost: x\r\n\r\n`)
  const waiting = () => [...server.sockets].reduce((sum, { writableLength }) => sum + writableLength, 0)
  try {
    await eventually(() => expect(peer.size).toBe(1))
    await turns(5)
    for (let sent = 0; sent < 4 * MANY_BYTES; sent += CHUNK.length) {
      let taken = false
      void Promise.resolve(peer.push(CHUNK)).then(() => taken = true)
      // An awaited push that is not taken by then waits for the reader.
      for (let turn = 0; turn < 100 && !taken; turn++) await turns(1)
      if (!taken) break
    }
    return waiting() < MANY_BYTES
  }
  finally {
    socket.destroy()
  }
}

const boundedOf = { ours: bounded(() => '/ours-pushed'), others: bounded(({ path }) => path) }

export const serverChecks: Checks = {
  'Replays missed messages on reconnect': {
    ...givesWhatWasMissed,
    [RESUMABLE_STREAM]: resumedElsewhere,
    [UPSTASH]: { yes: 'server/handler.js: XRANGE from `last_ack_…`' },
  },
  'Reports missed messages that are no longer stored': {
    [OURS]: async () => {
      const server = await startSSEServer({ retention: { maxMessages: 1 } })
      try {
        const channel = server.channel<string>('feed')
        server.route('/', () => channel)
        for (const text of ['one', 'two', 'three']) await channel.publish(text)
        const reader = await SSEReader.open(`${server.url}/?position=1`)
        await reader.until(({ raw }) => raw.includes('three'))
        await reader.close()
        return reader.controls.some(({ type, missed }) => type === 'gap' && missed === 1)
      }
      finally {
        await server.close()
      }
    },
    // Their output contains only the third message.
    [H3]: () => withPeer('h3', saysWhatWasMissed),
    [BETTER_SSE]: () => withPeer('betterSse', saysWhatWasMissed),
    [RESUMABLE_STREAM]: () => onRedis(async (open) => {
      const [here, there] = [await open(), await open()]
      const source = openSource()
      const reader = (await here.createNewResumableStream('answer', () => source.stream))!.getReader()
      source.end()
      await reader.closed
      await eventually(async () => expect(await there.hasExistingStream('answer')).toBe('DONE'))
      return await there.resumeExistingStream('answer') === null
    }),
    [UPSTASH]: { no: 'server/handler.js: XRANGE gives what is left, and nothing is compared with what was asked for' },
  },
  'Published messages survive their process': {
    [OURS]: withRedisServers(async (one, two) => {
      await one.channel<string>('feed').publish('one')
      await one.close()
      const reader = await SSEReader.open(`${two.url}/`)
      await reader.until(({ data }) => data.includes('one'))
      await reader.close()
      return true
    }),
    // Not even within one process.
    [H3]: givesWhatWasMissed[H3]!,
    [BETTER_SSE]: givesWhatWasMissed[BETTER_SSE]!,
    [RESUMABLE_STREAM]: () => onRedis(async (open) => {
      const [here, there] = [await open(), await open()]
      const source = openSource()
      const reader = (await here.createNewResumableStream('answer', () => source.stream))!.getReader()
      source.give('one')
      await reader.read()
      await here.kill()
      // Depending on the moment of the kill it fails, or never settles.
      return Promise.race([there.resumeExistingStream('answer').then(() => true, () => false), setTimeout(5_000, false, { ref: false })])
    }),
    [UPSTASH]: { yes: 'server/realtime.js: XADD' },
  },
  'Reaches readers on another instance': {
    [OURS]: withRedisServers(async (one, two) => {
      const reader = await SSEReader.open(`${two.url}/`)
      await one.channel<string>('feed').publish('one')
      await reader.until(({ data }) => data.includes('one'))
      await reader.close()
      return true
    }),
    [H3]: { no: 'a stream is one response of this process; there is nothing besides' },
    [BETTER_SSE]: { no: 'a channel is a Set of sessions of this process' },
    [RESUMABLE_STREAM]: resumedElsewhere,
    [UPSTASH]: { yes: 'server/handler.js: SUBSCRIBE' },
  },
  'Bounds memory while a reader does not read': {
    [OURS]: () => withPeer('ours', boundedOf.ours),
    [H3]: () => withPeer('h3', boundedOf.others),
    [BETTER_SSE]: () => withPeer('betterSse', boundedOf.others),
    [RESUMABLE_STREAM]: () => onRedis(async (open) => {
      let asked = 0
      const source = new ReadableStream<string>({
        pull(controller) {
          if (++asked * CHUNK.length > 2 * MANY_BYTES) controller.close()
          else controller.enqueue(CHUNK)
        },
      }, { highWaterMark: 0 })
      const here = await open()
      await here.createNewResumableStream('answer', () => source)
      // Without a reader, it is offered more than any server should keep.
      return eventually(() => expect(asked * CHUNK.length).toBeGreaterThan(MANY_BYTES)).then(() => false)
    }),
    [UPSTASH]: { no: 'server/handler.js: `controller.enqueue` without a look at `desiredSize`' },
  },
  'Heartbeats': {
    // An hour of their clock, in silence.
    ...each(async (peer, { server }) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] })
      let opening: Promise<SSEReader>
      try {
        opening = SSEReader.open(server.url + peer.path)
        while (peer.size === 0) await turns(1)
        await turns(5)
        await vi.advanceTimersByTimeAsync(3_600_000)
      }
      finally {
        vi.useRealTimers()
      }
      await peer.publish('after an hour', '1')
      const reader = await (await opening).until(({ raw }) => raw.includes('after an hour'))
      const { comments } = reader
      await reader.close()
      return comments.length > 100
    }),
    [UPSTASH]: { yes: 'server/handler.js: a ping every 60 s, published to the first channel' },
  },
  'Sends headers before the first message': each(async (peer, { server }) => {
    let arrived = false
    const opening = SSEReader.open(server.url + peer.path).then(reader => (arrived = true, reader))
    await eventually(() => expect(peer.size).toBe(1))
    // Round trips that began later than it.
    for (let trip = 0; trip < 5; trip++) await (await fetch(`${server.url}/nothing`)).text()
    const atOnce = arrived
    await peer.publish('one', '1')
    await (await opening).close()
    return atOnce
  }),
  'Detects a disconnect after the request body was read': {
    ...each(async (peer, { server }) => {
      const reader = await SSEReader.open(`${server.url}${peer.path}-posted`, { method: 'POST', body: '{}' })
      await reader.until(({ raw }) => raw !== '')
      await reader.close()
      await eventually(() => expect([...server.sockets].filter(socket => !socket.destroyed && socket.readable)).toEqual([]))
      await turns(20)
      return peer.noticed === 1
    }),
    [UPSTASH]: { yes: 'server/handler.js: `request.signal`' },
  },
  'Several channels over one connection': {
    [OURS]: { yes: 'test/http/serve/several.test.ts: begins with the state of each, and gives every message the whole position' },
    [BETTER_SSE]: () => withPeer('betterSse', async (_, { server }) => {
      const channels = [createChannel(), createChannel()]
      server.use('/both', defineEventHandler(async (event) => {
        event._handled = true
        const session = await createSession(event.node.req, event.node.res)
        for (const channel of channels) channel.register(session)
      }))
      const reader = await SSEReader.open(`${server.url}/both`)
      await eventually(() => expect(channels[1]!.sessionCount).toBe(1))
      channels[0]!.broadcast('one')
      channels[1]!.broadcast('two')
      await reader.until(({ raw }) => raw.includes('one') && raw.includes('two'))
      await reader.close()
      return true
    }),
    [UPSTASH]: { yes: 'server/handler.js: `?channel=` as often as wanted' },
  },
  'Ends streams before the platform does': {
    [OURS]: async () => {
      const server = await startSSEServer({ maxLifetimeMs: 50 })
      try {
        server.route('/', () => server.channel('feed'))
        const reader = await SSEReader.open(`${server.url}/`)
        await reader.finished
        return reader.controls.at(-1)!.type === 'leave'
      }
      finally {
        await server.close()
      }
    },
    [H3]: { no: 'its one option is `autoclose`' },
    [BETTER_SSE]: { no: 'SessionOptions' },
    [RESUMABLE_STREAM]: { no: 'CreateResumableStreamContextOptions' },
    [UPSTASH]: { yes: 'server/handler.js: `maxDurationSecs`, and an event `reconnect`' },
  },
}

async function saysWhatWasMissed(peer: ServerPeer, peers: Peers): Promise<boolean> {
  const reader = await comeBack(peer, peers)
  const { events } = reader
  await reader.close()
  return events.some(({ data }) => !data.includes('three'))
}
