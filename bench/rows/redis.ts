import { ratio, spread } from '../lib/numbers.ts'
import { startRedis } from '../lib/redis.ts'
import type { BenchContext, Row } from '../lib/row.ts'
import { freePort } from '../lib/server.ts'
import type { BenchServer } from '../lib/server.ts'
import type { Load } from '../lib/load.ts'
import type { BenchRedis } from '../lib/redis.ts'

const CALLERS = 64
const EACH = 1_500
const MESSAGES = 10_000

interface Figures {
  us: number
  serverUs: number
  redisUs: number
}

function withRedis<T>(context: BenchContext, task: (server: BenchServer, load: Load, redis: BenchRedis) => Promise<T>): Promise<T> {
  return freePort().then(startRedis).then(async (redis) => {
    try {
      return await context.withServer((server, load) => task(server, load, redis), { NUXT_SSE_REDIS_URL: redis.url })
    }
    finally {
      await redis.stop()
    }
  })
}

async function measured(count: number, server: BenchServer, redis: BenchRedis, task: () => Promise<number>): Promise<Figures> {
  const [before, redisBefore] = [await server.usage(), await redis.usage()]
  const ms = await task()
  const [after, redisAfter] = [await server.usage(), await redis.usage()]
  return { us: ms * 1_000 / count, serverUs: (after.cpuUs - before.cpuUs) / count, redisUs: (redisAfter.cpuUs - redisBefore.cpuUs) / count }
}

function table(context: BenchContext, peers: string[], results: Record<string, Figures[]>, targets: Record<string, number>, first: string[] = []): string[][] {
  return peers.map((peer) => {
    const all = results[peer]!
    const of = (field: keyof Figures) => all.map(figures => figures[field])
    const compared = peer === 'ours' || !results.ours ? '' : ratio(results.ours.map(({ us }) => us), of('us')).toFixed(2)
    const row = [...first, peer, spread(of('us')), compared, targets[peer] ? `≤ ${targets[peer]}` : '', spread(of('serverUs')), spread(of('redisUs'))]
    context.log(row.join('  '))
    return row
  })
}

const FIGURES = ['peer', 'µs a message', 'ours / peer', 'target', 'µs of the server\'s CPU', 'µs of Redis\' CPU']

export const redisPublish: Row = {
  name: 'redis-publish',
  title: `Publishing to Redis: ${CALLERS} concurrent callers, one channel`,
  async run(context) {
    const peers = context.peers(['ours', 'bare', 'bare, automatic'])
    const results = await context.alternate(peers, peer => withRedis(context, async (server, _, redis) => {
      await server.post('/redis/publish', { peer, callers: CALLERS, each: EACH })
      return measured(CALLERS * EACH, server, redis, async () => (await server.post<{ ms: number }>('/redis/publish', { peer, callers: CALLERS, each: EACH })).ms)
    }))
    return { columns: FIGURES, rows: table(context, peers, results, { bare: 1 }), note: `Each caller publishes ${EACH} messages, the next one when Redis has stored the last one. Bare: one pipeline of \`XADD\` for each tick, or ioredis' automatic pipelining, and nothing else: no gapless offsets, no notice to readers, no expiry.` }
  },
}

export const redisReplay: Row = {
  name: 'redis-replay',
  title: `Replay of ${MESSAGES.toLocaleString('en')} messages from Redis to one reader`,
  async run(context) {
    const peers = context.peers(['ours', 'bare', 'resumable-stream'])
    const results = await context.alternate(peers, peer => withRedis(context, async (server, load, redis) => {
      await server.post('/redis/fill', { peer, count: MESSAGES })
      const replay = async (group: string) => {
        await load.ask({ type: 'reset' })
        const began = performance.now()
        await load.ask({ type: 'open', count: 1, port: server.port, path: `/redis/replay/${peer}`, group })
        const { total, timedOut } = await load.ask({ type: 'wait', group, each: MESSAGES, timeoutMs: 60_000 })
        if (timedOut) throw new Error(`${peer}: ${total} of ${MESSAGES} messages arrived.`)
        return performance.now() - began
      }
      await replay('warm')
      return measured(MESSAGES, server, redis, () => replay('all'))
    }))
    return { columns: FIGURES, rows: table(context, peers, results, { bare: 1.5 }), note: 'Bare: `XRANGE` by 1,000 and `res.write`. `resumable-stream` keeps the messages in the memory of the process that produced them, which sends them through Redis as one text. They are lost with that process.' }
  },
}
