import { median, quantile, ratio, spread } from '../lib/numbers.ts'
import type { BenchContext, Row } from '../lib/row.ts'

const READERS = 500
const DELIVERIES = 200_000
const US_PER_WRITE = 4
/** Messages a tick, and the most that 8 channels may cost of one. Ten messages on 8 channels are 8 writes, and cannot cost what one write does. */
const CASES = [{ perTick: 1, target: 1.15 }, { perTick: 10, target: undefined }]
const PEERS = ['ours', 'several']

export const channels: Row = {
  name: 'channels',
  title: 'Server CPU per delivered message, 8 channels on one connection',
  async run(context) {
    const rows: string[][] = []
    for (const { perTick, target } of CASES) {
      const results = await context.alternate(PEERS, peer => measure(context, peer, perTick))
      for (const peer of PEERS) {
        const row = [String(perTick), peer === 'ours' ? '1' : '8', spread(results[peer]!), peer === 'ours' ? '' : ratio(results.several!, results.ours!).toFixed(2), peer === 'several' && target ? `≤ ${target}` : '']
        context.log(row.join('  '))
        rows.push(row)
      }
    }
    return { columns: ['messages a tick', 'channels', 'µs a message', '8 channels / 1', 'target'], rows, note: `${READERS} readers that request the IDs of each channel, as our client does. The same messages, published on one channel, and on 8 channels in turn; CPU time of all threads of the server's process.` }
  },
}

function measure(context: BenchContext, peer: string, perTick: number): Promise<number> {
  return context.withServer(async (server, load) => {
    const ticks = Math.round(DELIVERIES / READERS)
    await load.ask({ type: 'open', count: READERS, port: server.port, path: `/stream/${peer}`, group: 'all' })
    const publish = async (ticks: number) => {
      await load.ask({ type: 'reset' })
      const before = await server.usage()
      await server.publish({ peer, ticks, perTick, intervalMs: READERS * US_PER_WRITE / 1_000 })
      const { total, timedOut } = await load.ask({ type: 'wait', group: 'all', each: ticks * perTick, timeoutMs: 60_000 })
      if (timedOut || total !== ticks * perTick * READERS) throw new Error(`${peer}: ${total} of ${ticks * perTick * READERS} messages arrived.`)
      return ((await server.usage()).cpuUs - before.cpuUs) / total
    }
    await publish(Math.ceil(ticks / 4))
    return publish(ticks)
  })
}

const QUIET_READERS = 100
const TICKS = 400
const INTERVAL_MS = 10

export const quiet: Row = {
  name: 'quiet',
  title: 'From publish to receipt on a quiet channel, beside a flooded one',
  async run(context) {
    const peers = ['quiet-alone', 'quiet-beside']
    const results = await context.alternate(peers, peer => wait(context, peer))
    const p99 = (peer: string) => results[peer]!.map(result => result.p99)
    const rows = peers.map((peer) => {
      const row = [peer === 'quiet-alone' ? 'alone' : 'beside a flooded one', spread(results[peer]!.map(({ p50 }) => p50)), spread(p99(peer)), peer === 'quiet-alone' ? '' : (median(p99(peer)) / median(p99('quiet-alone'))).toFixed(2), peer === 'quiet-alone' ? '' : '≤ 2']
      context.log(row.join('  '))
      return row
    })
    return { columns: ['the quiet channel', 'p50 ms', 'p99 ms', 'beside / alone', 'target'], rows, note: `${QUIET_READERS} readers, a message every ${INTERVAL_MS} ms on the quiet channel. The flooded one has 2 MB a second for each reader, on the same connections.` }
  },
}

function wait(context: BenchContext, peer: string): Promise<{ p50: number, p99: number }> {
  return context.withServer(async (server, load) => {
    await load.ask({ type: 'open', count: QUIET_READERS, port: server.port, path: `/stream/${peer}`, group: 'all' })
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
