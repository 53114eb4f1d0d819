import { spread } from '../lib/numbers.ts'
import { startRedis } from '../lib/redis.ts'
import type { Row } from '../lib/row.ts'
import { freePort } from '../lib/server.ts'

const USERS = 10_000
const WARM_UP = 500
const STORED = 20

export const users: Row = {
  name: 'users',
  title: `${USERS.toLocaleString('en')} users with a channel each`,
  async run(context) {
    const { ours } = await context.alternate(['ours'], async () => {
      const redis = await startRedis(await freePort())
      try {
        return await context.withServer(async (server, load) => {
          const open = (count: number, group: string) => load.ask({ type: 'open', count, port: server.port, path: '/users', group })
          await open(WARM_UP, 'first')
          await server.usage({ gc: true })
          const [before, redisBefore] = [await server.usage({ gc: true }), await redis.usage()]
          await open(USERS, 'all')
          await server.usage({ gc: true })
          const [after, redisIdle] = [await server.usage({ gc: true }), await redis.usage()]
          await server.post('/users', { count: USERS + WARM_UP, each: STORED })
          await load.ask({ type: 'wait', group: 'all', each: STORED, timeoutMs: 60_000 })
          const [sent, redisFull] = [await server.usage(), await redis.usage()]
          const notices = (USERS + WARM_UP) * STORED
          return {
            resident: (after.rss - before.rss) / USERS / 1_024,
            idle: (redisIdle.memory - redisBefore.memory) / USERS / 1_024,
            full: (redisFull.memory - redisBefore.memory) / (USERS + WARM_UP) / 1_024,
            serverUs: (sent.cpuUs - after.cpuUs) / notices,
            redisUs: (redisFull.cpuUs - redisIdle.cpuUs) / notices,
          }
        }, { NUXT_SSE_REDIS_URL: redis.url })
      }
      finally {
        await redis.stop()
      }
    })
    const of = (figure: keyof (typeof ours & object)[number], digits = 1) => spread(ours!.map(figures => figures[figure]), digits)
    const row = [String(USERS), of('resident'), of('idle'), of('full'), of('serverUs', 0), of('redisUs', 0)]
    context.log(row.join('  '))
    return { columns: ['users', 'KiB resident in the server', 'KiB in Redis, no notice', `KiB in Redis, ${STORED} notices`, 'µs of the server\'s CPU for a notice', 'µs of Redis\' CPU'], rows: [row], note: `For each user: one connection with two channels, their own and one for all. A notice has 100 bytes, is published and sent to its reader by the same process, 200 at a time. KiB are growth, in Redis of \`used_memory\`.` }
  },
}
