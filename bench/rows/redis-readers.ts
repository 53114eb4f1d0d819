import { setTimeout as sleep } from 'node:timers/promises'
import { startRedisProxy } from '../../test/support/redis-proxy.ts'
import type { RedisProxy } from '../../test/support/redis-proxy.ts'
import { spread } from '../lib/numbers.ts'
import { startRedis } from '../lib/redis.ts'
import type { BenchRedis } from '../lib/redis.ts'
import type { BenchContext, Row } from '../lib/row.ts'
import { freePort } from '../lib/server.ts'
import type { BenchServer } from '../lib/server.ts'

const RETURNING = 5_000
const AWAY_MS = 10_000
const SILENT = 10_000
/** Time until the longest recheck interval is reached. */
const SETTLE_MS = 600_000
const WINDOW_MS = 60_000
const POLL_MS = 50

/** Runs `task` with a server whose connection to Redis is counted, and a second server with its own connection, which publishes. */
async function withProxy<T>(context: BenchContext, task: (server: BenchServer, publisher: BenchServer, proxy: RedisProxy, redis: BenchRedis) => Promise<T>): Promise<T> {
  const port = await freePort()
  const redis = await startRedis(port)
  const proxy = await startRedisProxy(port)
  try {
    return await context.withServer(publisher => context.withServer(server => task(server, publisher, proxy, redis), { NUXT_SSE_REDIS_URL: proxy.url }), { NUXT_SSE_REDIS_URL: redis.url })
  }
  finally {
    await proxy.close()
    await redis.stop()
  }
}

async function readersWith(server: BenchServer, messages: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${server.port}/redis/readers?messages=${messages}`)
  return (await response.json() as { readers: number }).readers
}

export const redisReturn: Row = {
  name: 'redis-return',
  title: `${RETURNING.toLocaleString('en')} read channels when Redis recovers after ${AWAY_MS / 1_000} s`,
  async run(context) {
    const { ours } = await context.alternate(['ours'], () => withProxy(context, async (server, publisher, proxy) => {
      await publisher.post('/redis/each', { count: RETURNING })
      await server.post('/redis/readers', { count: RETURNING })
      proxy.stop()
      await publisher.post('/redis/each', { count: RETURNING })
      await sleep(AWAY_MS)
      proxy.reset()
      proxy.start()
      const began = performance.now()
      while (await readersWith(server, 2) < RETURNING) {
        if (performance.now() - began > 60_000) throw new Error('Some readers lack missed messages after a minute.')
        await sleep(POLL_MS)
      }
      return { most: proxy.mostScripts, seconds: (performance.now() - began) / 1_000 }
    }))
    const row = [String(RETURNING), spread(ours!.map(({ most }) => most), 0), '≤ 64', spread(ours!.map(({ seconds }) => seconds)), '≤ 5']
    context.log(row.join('  '))
    return { columns: ['channels', 'reads in flight, at most', 'target', 's until all readers are up to date', 'target'], rows: [row], note: 'Counted between the process and Redis, which is unreachable for that time; another process publishes a message to each channel meanwhile.' }
  },
}

export const redisSilence: Row = {
  name: 'redis-silence',
  title: `${SILENT.toLocaleString('en')} silent read channels`,
  async run(context) {
    const { commands, writes } = await withProxy(context, async (server, publisher, proxy, redis) => {
      await publisher.post('/redis/each', { count: SILENT })
      await server.post('/redis/readers', { count: SILENT })
      await sleep(SETTLE_MS)
      proxy.reset()
      const { changes } = await redis.usage()
      await sleep(WINDOW_MS)
      const total = [...proxy.commands.values()].reduce((sum, count) => sum + count, 0)
      return { commands: total / (WINDOW_MS / 1_000), writes: (await redis.usage()).changes - changes }
    })
    const row = [String(SILENT), commands.toFixed(1), '≤ 50', String(writes), '0']
    context.log(row.join('  '))
    return { columns: ['channels', 'commands a second', 'target', 'writes a minute', 'target'], rows: [row], note: `One process, counted between it and Redis in the minute after ${SETTLE_MS / 60_000} minutes of silence. Writes are the changes that Redis itself counts. Measured once, at any \`BENCH_ROUNDS\`.` }
  },
}
