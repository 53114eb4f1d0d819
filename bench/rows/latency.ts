import { quantile, spread } from '../lib/numbers.ts'
import type { BenchContext, Row } from '../lib/row.ts'

const READERS = 500
const TICKS = 400
/** About half of the bare loop's maximum rate with this many readers. */
const INTERVAL_MS = 10

export const latency: Row = {
  name: 'latency',
  title: 'From publish to receipt at half load',
  async run(context) {
    const peers = context.peers(['ours', 'bare', 'better-sse', 'h3', 'hono'])
    const results = await context.alternate(peers, peer => measure(context, peer))
    const rows = peers.map((peer) => {
      const row = [peer, spread(results[peer]!.map(({ p50 }) => p50)), spread(results[peer]!.map(({ p99 }) => p99))]
      context.log(row.join('  '))
      return row
    })
    return { columns: ['peer', 'p50 ms', 'p99 ms'], rows, note: `${READERS} readers, a message every ${INTERVAL_MS} ms; the clock stops in the readers' process. Most of the time is the wait for the earlier ones of ${READERS} writes.` }
  },
}

function measure(context: BenchContext, peer: string): Promise<{ p50: number, p99: number }> {
  return context.withServer(async (server, load) => {
    await load.ask({ type: 'open', count: READERS, port: server.port, path: `/stream/${peer}`, group: 'all' })
    const publish = async (ticks: number) => {
      await load.ask({ type: 'reset', measure: true })
      await server.publish({ peer, ticks, perTick: 1, intervalMs: INTERVAL_MS })
      return load.ask({ type: 'wait', group: 'all', each: ticks, timeoutMs: 30_000 })
    }
    await publish(TICKS / 4)
    const { latencies, timedOut } = await publish(TICKS)
    if (timedOut) throw new Error(`${peer}: not all messages arrived.`)
    return { p50: quantile(latencies!, 0.5) / 1_000, p99: quantile(latencies!, 0.99) / 1_000 }
  })
}
