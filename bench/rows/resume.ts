import { setTimeout as sleep } from 'node:timers/promises'
import { median, ratio, spread } from '../lib/numbers.ts'
import type { BenchRedis } from '../lib/redis.ts'
import { startRedis } from '../lib/redis.ts'
import type { Row } from '../lib/row.ts'
import type { BenchServer } from '../lib/server.ts'
import type { Load } from '../lib/load.ts'
import { freePort } from '../lib/server.ts'

const TOKENS = 2_000
const EVERY_MS = 2
const RECONNECTS = 40
/** Resumes before the measured ones: a server that has just started runs code that is not compiled yet. */
const WARM_UP = 100
/** Delay before the first viewer reconnects: the answer continues for longer. */
const BACK_AFTER_MS = 200
/** Delay between viewers: long enough for the server to notice that the last one left, and to release its memory. */
const BETWEEN_MS = 10

/** Answers without a reader in the other process yet, all produced at once. Each is resumed once; the first resumes are warm-up. */
const FIRSTS = 30
const FIRST_TIMES = 2
const FIRST_WARM_UP = 40

/** Processes that a client resumes on: the one that produces the answer, another that has already read it, or another that has not. */
const CASES = ['where it is made', 'another process, again', 'another process, first there'] as const

type Figures = Record<typeof CASES[number] | 'sent' | 'run' | 'redisUs', number>

export const resume: Row = {
  name: 'resume',
  title: `Resume of an answer of ${TOKENS.toLocaleString('en')} tokens, one each ${EVERY_MS} ms`,
  async run(context) {
    const peers = context.peers(['ours', 'resumable-stream', 'text-in-Redis', 'text-in-memory'])
    const results = await context.alternate(peers, async (peer): Promise<Figures> => {
      const redis = await startRedis(await freePort())
      const env = { NUXT_SSE_REDIS_URL: redis.url }
      try {
        return await context.withServer((maker, load) => context.withServer(other => measure(peer, redis, load, maker, other), env), env)
      }
      finally {
        await redis.stop()
      }
    })
    const rows = peers.map((peer) => {
      const of = (field: keyof Figures) => results[peer]!.map(figures => figures[field])
      const compared = (field: keyof Figures) => peer === 'ours' || !results.ours ? '' : ratio(results.ours.map(figures => figures[field]), of(field)).toFixed(2)
      const produces = !peer.startsWith('text')
      const row = [
        peer,
        ...CASES.flatMap(name => [spread(of(name)), compared(name)]),
        ...produces ? [spread(of('sent')), compared('sent'), spread(of('run')), spread(of('redisUs'))] : ['', '', '', ''],
      ]
      context.log(row.join('  '))
      return row
    })
    return {
      columns: ['peer', ...CASES.flatMap(name => [`ms, ${name}`, 'ours / peer']), 'commands sent to Redis, a token', 'ours / peer', 'commands it ran, a token', 'µs of Redis\' CPU, a token'],
      rows,
      note: `Milliseconds from the \`connect\` of a reader to the last token so far, both in the readers' process: the median of ${RECONNECTS} readers, one after the other, after ${WARM_UP} that are not measured. There is no other reader meanwhile. \`again\`: the process has sent the answer to a reader before, as when a page is reloaded. \`first there\`: it has not. While the answer is produced, one viewer has reconnected to it. \`resumable-stream\` keeps the tokens in the memory of the producing process, and sends them through Redis to each viewer that reconnects: 0 commands without one, one a token for each. If that process is killed, the answer is lost. Ours keeps the tokens in Redis, at the same cost for any number of readers. A script counts as one command sent, and its calls as commands run. \`text-in-memory\` and \`text-in-Redis\` are the lower bound: the same route writes the answer as one text, from memory, or from Redis with one \`GET\`.`,
    }
  },
}

async function measure(peer: string, redis: BenchRedis, load: Load, maker: BenchServer, other: BenchServer): Promise<Figures> {
  const path = `/redis/resume/${peer}`
  // Opens connections and loads scripts.
  for (const server of [maker, other]) await server.post('/redis/fill', { peer, count: 10 })
  const before = await redis.usage()
  const answered = maker.post('/redis/answer', { peer, names: ['one'], count: TOKENS, everyMs: EVERY_MS })
  await sleep(BACK_AFTER_MS)
  await load.ask({ type: 'open', count: 1, port: maker.port, path: `${path}?name=one`, group: 'viewer' })
  await answered
  const after = await redis.usage()
  await load.ask({ type: 'leave', group: 'viewer' })
  const perToken = (field: 'sent' | 'run' | 'cpuUs') => (after[field] - before[field]) / TOKENS
  const commands = { sent: perToken('sent'), run: perToken('run'), redisUs: perToken('cpuUs') }

  const same = Array<string>(WARM_UP + RECONNECTS).fill('one')
  const comeBack = (server: BenchServer, names: string[], warmUp = WARM_UP) => timeOf(load, server.port, names.map(name => `${path}?name=${name}`), warmUp)
  const [made, again] = [await comeBack(maker, same), await comeBack(other, same)]
  const firsts: string[] = []
  for (let time = 0; time < FIRST_TIMES; time++) {
    const names = Array.from({ length: FIRSTS }, (_, n) => `${time}-${n}`)
    await maker.post('/redis/answer', { peer, names, count: TOKENS, everyMs: EVERY_MS })
    firsts.push(...names)
  }
  return { [CASES[0]]: made, [CASES[1]]: again, [CASES[2]]: await comeBack(other, firsts, FIRST_WARM_UP), ...commands } as Figures
}

async function timeOf(load: Load, port: number, paths: string[], warmUp: number): Promise<number> {
  const times: number[] = []
  for (const [n, path] of paths.entries()) {
    await sleep(BETWEEN_MS)
    const { total, timedOut, ms } = await load.ask({ type: 'visit', port, path, group: 'back', each: TOKENS, timeoutMs: 30_000 })
    if (timedOut) throw new Error(`${path}: ${total} of ${TOKENS} tokens arrived.`)
    if (n >= warmUp) times.push(ms!)
    await load.ask({ type: 'leave', group: 'back' })
  }
  return median(times)
}
