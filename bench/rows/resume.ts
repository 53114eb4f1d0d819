import { setTimeout as sleep } from 'node:timers/promises'
import { median, ratio, spread } from '../lib/numbers.ts'
import { startRedis } from '../lib/redis.ts'
import type { Row } from '../lib/row.ts'
import { freePort } from '../lib/server.ts'

const TOKENS = 2_000
const EVERY_MS = 2
const RECONNECTS = 10
/** When the first viewer comes back: the answer goes on for long. */
const BACK_AFTER_MS = 200

interface Figures {
  ms: number
  sent: number
  run: number
  redisUs: number
}

export const resume: Row = {
  name: 'resume',
  title: `Coming back to an answer of ${TOKENS.toLocaleString('en')} tokens, one each ${EVERY_MS} ms`,
  async run(context) {
    const peers = context.peers(['ours', 'resumable-stream'])
    const results = await context.alternate(peers, async (peer): Promise<Figures> => {
      const redis = await startRedis(await freePort())
      try {
        return await context.withServer(async (server, load) => {
          const path = `/redis/resume/${peer}`
          // Connections and scripts are made.
          await server.post('/redis/fill', { peer, count: 10 })
          const before = await redis.usage()
          const answered = server.post('/redis/answer', { peer, count: TOKENS, everyMs: EVERY_MS })
          await sleep(BACK_AFTER_MS)
          await load.ask({ type: 'open', count: 1, port: server.port, path, group: 'viewer' })
          await answered
          const after = await redis.usage()
          const times: number[] = []
          for (let n = 0; n < RECONNECTS; n++) {
            const group = `back ${n}`
            const began = performance.now()
            await load.ask({ type: 'open', count: 1, port: server.port, path, group })
            const { total, timedOut } = await load.ask({ type: 'wait', group, each: TOKENS, timeoutMs: 30_000 })
            if (timedOut) throw new Error(`${peer}: ${total} of ${TOKENS} tokens arrived.`)
            times.push(performance.now() - began)
          }
          return { ms: median(times), sent: (after.sent - before.sent) / TOKENS, run: (after.run - before.run) / TOKENS, redisUs: (after.cpuUs - before.cpuUs) / TOKENS }
        }, { NUXT_SSE_REDIS_URL: redis.url })
      }
      finally {
        await redis.stop()
      }
    })
    const rows = peers.map((peer) => {
      const of = (field: keyof Figures) => results[peer]!.map(figures => figures[field])
      const compared = (field: keyof Figures) => peer === 'ours' || !results.ours ? '' : ratio(results.ours.map(figures => figures[field]), of(field)).toFixed(2)
      const row = [peer, spread(of('ms')), compared('ms'), spread(of('sent')), compared('sent'), spread(of('run')), spread(of('redisUs'))]
      context.log(row.join('  '))
      return row
    })
    return {
      columns: ['peer', 'ms from the reconnect to the last token', 'ours / peer', 'commands sent to Redis, a token', 'ours / peer', 'commands it ran, a token', 'µs of Redis\' CPU, a token'],
      rows,
      note: 'While the answer is produced, one viewer has come back to it. `resumable-stream` keeps the tokens in the memory of the process that makes them, and sends them through Redis to each viewer that comes back: 0 commands where none has, one a token for each; killed, that process takes the answer with it. Ours are kept in Redis, and cost the same whoever reads. A script counts as one command sent, and what it calls as commands run.',
    }
  },
}
