import { setTimeout as sleep } from 'node:timers/promises'
import { spread } from '../lib/numbers.ts'
import type { Row } from '../lib/row.ts'

const READERS = 10_000
/** Two rounds of heartbeats at the default interval of 15 s. */
const WINDOW_MS = 30_000

export const heartbeats: Row = {
  name: 'heartbeats',
  title: `Heartbeats of ${READERS} idle connections`,
  async run(context) {
    const { ours } = await context.alternate(['ours'], () => context.withServer(async (server, load) => {
      await load.ask({ type: 'open', count: READERS, port: server.port, path: '/stream/ours', group: 'all' })
      const { bytes } = await load.ask({ type: 'state', group: 'all' })
      const before = await server.usage()
      const began = performance.now()
      await sleep(WINDOW_MS)
      const { cpuUs } = await server.usage()
      const ms = performance.now() - began
      const sent = ((await load.ask({ type: 'state', group: 'all' })).bytes - bytes) / 3 / READERS
      return { percent: (cpuUs - before.cpuUs) / 10 / ms, sent }
    }))
    const row = [String(READERS), spread(ours!.map(({ percent }) => percent)), '≤ 3', spread(ours!.map(({ sent }) => sent), 1)]
    context.log(row.join('  '))
    return { columns: ['connections', '% of a core', 'target', 'heartbeats each'], rows: [row], note: `All CPU time of the process in ${WINDOW_MS / 1_000} s at the default \`heartbeatMs\` of 15 s.` }
  },
}
