import { median, ratio, spread } from '../lib/numbers.ts'
import type { Row } from '../lib/row.ts'
import { measureFanOut } from './fan-out.ts'

const READERS = 500

export const tracing: Row = {
  name: 'tracing',
  title: 'Tracing with OpenTelemetry, one channel',
  async run(context) {
    const rows: string[][] = []
    for (const perTick of [1, 10]) {
      const results = await context.alternate(['off', 'on'], state => measureFanOut(context, { peer: 'ours', readers: READERS, perTick, usPerWrite: 4 }, state === 'on' ? { BENCH_TRACING: '1' } : {}))
      for (const state of ['off', 'on']) {
        const cost = results[state]!.map(({ cpuUs }) => cpuUs)
        const isOn = state === 'on'
        const row = [String(perTick), String(READERS), state, spread(cost), median(results[state]!.map(({ systemUs }) => systemUs)).toFixed(2), isOn ? ratio(cost, results.off!.map(({ cpuUs }) => cpuUs)).toFixed(2) : '', isOn && perTick === 1 ? '≤ 1.05' : '']
        context.log(row.join('  '))
        rows.push(row)
      }
    }
    return { columns: ['messages a tick', 'readers', 'tracing', 'µs a message', 'of it kernel', 'on / off', 'target'], rows, note: 'As in the first table. `on`: the SDK makes a span for each publish and each delivery, and an exporter drops them.' }
  },
}
