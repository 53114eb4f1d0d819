import process from 'node:process'
import { median, ratio, spread } from '../lib/numbers.ts'
import type { BenchContext, Row } from '../lib/row.ts'

const DELIVERIES = 200_000
/**
 * Microseconds between ticks per write. `busy` keeps the server busy: in pauses between ticks, the cost of waking the readers' process
 * dominates each write, for every peer alike, most of all on a virtual machine. `paced` measures with those pauses.
 */
const PACE_US_PER_WRITE = { busy: 4, paced: 20 }
const TARGETS: Record<string, number[]> = { 'bare': [0.9, 0.35], 'better-sse': [0.6, 0.6], 'h3': [0.35, 0.35] }
const PEERS = ['ours', 'bare', 'better-sse', 'h3', 'hono']

const READERS = (process.env.BENCH_READERS ?? '100,500,2000,10000').split(',').map(Number)
const CASES = [1, 10].flatMap(perTick => [
  ...READERS.map(readers => ({ perTick, readers, pace: 'busy' as const })),
  { perTick, readers: 500, pace: 'paced' as const },
])

export const fanOut: Row = {
  name: 'fan-out',
  title: 'Server CPU per delivered message, one channel',
  async run(context) {
    const rows: string[][] = []
    for (const { perTick, readers, pace } of CASES) {
      const peers = context.peers(readers === 500 && pace === 'busy' ? PEERS : PEERS.slice(0, 2))
      const results = await context.alternate(peers, peer => measureFanOut(context, { peer, readers, perTick, usPerWrite: PACE_US_PER_WRITE[pace] }))
      const cost = (peer: string, what: keyof Cost) => results[peer]!.map(result => result[what])
      for (const peer of peers) {
        const target = readers === 500 && pace === 'busy' ? TARGETS[peer]?.[perTick === 1 ? 0 : 1] : undefined
        const row = [String(perTick), String(readers), pace, peer, spread(cost(peer, 'cpuUs')), median(cost(peer, 'systemUs')).toFixed(2), results.ours && peer !== 'ours' ? ratio(cost('ours', 'cpuUs'), cost(peer, 'cpuUs')).toFixed(2) : '', target ? `≤ ${target}` : '']
        context.log(row.join('  '))
        rows.push(row)
      }
    }
    return { columns: ['messages a tick', 'readers', 'server', 'peer', 'µs a message', 'of it kernel', 'ours / peer', 'target'], rows, note: 'CPU time of all threads of the server\'s process, divided by the messages that its readers counted. Each message is about 100 bytes of JSON. `busy`: ticks follow each other as fast as the server can; `paced`: the server waits about half of the time, and its cost includes waking the readers in the kernel. The kernel\'s part of a write is the lower bound for every server that writes once for each reader.' }
  },
}

interface Cost { cpuUs: number, systemUs: number }

export interface FanOut {
  peer: string
  readers: number
  perTick: number
  /** Pause between ticks, in microseconds for each write. */
  usPerWrite: number
}

export async function measureFanOut(context: BenchContext, { peer, readers, perTick, usPerWrite }: FanOut, env?: Record<string, string>): Promise<Cost> {
  return context.withServer(async (server, load) => {
    const ticks = Math.max(20, Math.round(DELIVERIES / readers))
    const intervalMs = Math.max(1, readers * usPerWrite / 1_000)
    await load.ask({ type: 'open', count: readers, port: server.port, path: `/stream/${peer}`, group: 'all' })
    const publish = async (ticks: number) => {
      await load.ask({ type: 'reset' })
      const before = await server.usage()
      await server.publish({ peer, ticks, perTick, intervalMs })
      const { total, timedOut } = await load.ask({ type: 'wait', group: 'all', each: ticks * perTick, timeoutMs: 60_000 })
      if (timedOut || total !== ticks * perTick * readers) throw new Error(`${peer}: ${total} of ${ticks * perTick * readers} messages arrived.`)
      const after = await server.usage()
      return { cpuUs: (after.cpuUs - before.cpuUs) / total, systemUs: (after.systemUs - before.systemUs) / total }
    }
    await publish(Math.ceil(ticks / 4))
    return publish(ticks)
  }, env)
}
