import process from 'node:process'
import { median, quantile, spread } from '../lib/numbers.ts'
import type { BenchContext, Row } from '../lib/row.ts'

const LIVE = 400
const STALLED = 100
const MESSAGE_BYTES = 16_384
const MEGABYTES = Number(process.env.BENCH_SLOW_MB ?? 500)
/** 400 readers of 16 KiB each: about half of the throughput of two cores through the loopback. */
const INTERVAL_MS = Number(process.env.BENCH_SLOW_INTERVAL_MS ?? 8)
const SAMPLE_MS = 250

interface Result { grownMb: number, p99: number, told: string }

export const slowReaders: Row = {
  name: 'slow-readers',
  title: `${STALLED} stalled readers among ${LIVE} live ones`,
  async run(context) {
    const results = await context.alternate(['without', 'with'], name => measure(context, name === 'with' ? STALLED : 0))
    const p99 = (name: string) => results[name]!.map(result => result.p99)
    const rows = ['without', 'with'].map((name) => {
      const stalled = name === 'with'
      const row = [stalled ? `${STALLED}` : '0', spread(results[name]!.map(({ grownMb }) => grownMb), 0), '≤ 100', spread(p99(name), 1), stalled ? (median(p99('with')) / median(p99('without'))).toFixed(2) : '', stalled ? '≤ 2' : '', results[name]![0]!.told]
      context.log(row.join('  '))
      return row
    })
    return { columns: ['stalled', 'growth, MB', 'target', 'p99 ms, live readers', 'with / without', 'target', 'stalled readers, on waking'], rows, note: `${MEGABYTES} MB are published on one channel in messages of 16 KiB, one every ${INTERVAL_MS} ms. The growth is the process's peak, without a forced collection.` }
  },
}

function measure(context: BenchContext, stalled: number): Promise<Result> {
  return context.withServer(async (server, load) => {
    const open = (group: string, count: number) => load.ask({ type: 'open', count, port: server.port, path: '/stream/ours', group, paused: group === 'stalled', check: true })
    await open('live', LIVE)
    if (stalled) await open('stalled', stalled)
    const ticks = Math.round(MEGABYTES * 1e6 / MESSAGE_BYTES)
    await server.publish({ peer: 'ours', ticks: 20, perTick: 1, intervalMs: INTERVAL_MS, bytes: MESSAGE_BYTES })
    const before = await server.usage({ gc: true })
    await load.ask({ type: 'reset', measure: true })
    let highest = before.rss
    const sampler = setInterval(() => void server.usage().then(({ rss }) => highest = Math.max(highest, rss), () => {}), SAMPLE_MS)
    await server.publish({ peer: 'ours', ticks, perTick: 1, intervalMs: INTERVAL_MS, bytes: MESSAGE_BYTES })
    const live = await load.ask({ type: 'wait', group: 'live', each: ticks, timeoutMs: 60_000 })
    clearInterval(sampler)
    if (live.timedOut || live.wrong) throw new Error(`One live reader has ${live.fewest} of ${ticks} messages; ${live.wrong} are out of order.`)
    let told = ''
    if (stalled) {
      await load.ask({ type: 'resume', group: 'stalled' })
      const woken = await load.ask({ type: 'wait-for', group: 'stalled', offset: ticks + 20, timeoutMs: 60_000 })
      if (woken.timedOut || woken.wrong) throw new Error(`Some stalled readers timed out (${woken.timedOut}), or have messages out of order (${woken.wrong}).`)
      told = `${woken.gapped} received a gap, ${woken.readers - woken.gapped!} received everything, 0 anything else`
    }
    return { grownMb: (highest - before.rss) / 1e6, p99: quantile(live.latencies!, 0.99) / 1_000, told }
  })
}
