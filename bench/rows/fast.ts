import { ratio, spread } from '../lib/numbers.ts'
import type { BenchContext, Row } from '../lib/row.ts'

const MESSAGES = 300_000

export const fast: Row = {
  name: 'fast',
  title: 'Maximum speed of one stream',
  async run(context) {
    const peers = context.peers(['ours', 'bare', 'better-sse', 'h3', 'hono'])
    const results = await context.alternate(peers, peer => measure(context, peer))
    const rows = peers.map((peer) => {
      const cpu = (name: string) => results[name]!.map(({ cpuUs }) => cpuUs)
      const row = [peer, spread(results[peer]!.map(({ perSecond }) => perSecond / 1_000), 0), spread(cpu(peer)), results.ours && peer !== 'ours' ? ratio(cpu('ours'), cpu(peer)).toFixed(2) : '']
      context.log(row.join('  '))
      return row
    })
    return { columns: ['peer', 'thousand messages a second', 'CPU µs a message', 'CPU, ours / peer'], rows, note: `A generator (or its closest equivalent) of ${MESSAGES} messages of about 100 bytes, one reader; peers with back pressure use it.` }
  },
}

function measure(context: BenchContext, peer: string): Promise<{ perSecond: number, cpuUs: number }> {
  return context.withServer(async (server, load) => {
    const run = async (group: string, messages: number) => {
      await load.ask({ type: 'reset' })
      const before = await server.usage()
      const began = performance.now()
      await load.ask({ type: 'open', count: 1, port: server.port, path: `/fast/${peer}?n=${messages}`, group })
      const { timedOut, fewest } = await load.ask({ type: 'wait', group, each: messages, timeoutMs: 60_000 })
      if (timedOut) throw new Error(`${peer}: ${fewest} of ${messages} messages arrived.`)
      const ms = performance.now() - began
      return { perSecond: messages / ms * 1_000, cpuUs: ((await server.usage()).cpuUs - before.cpuUs) / messages }
    }
    await run('warm-up', MESSAGES / 3)
    return run('measured', MESSAGES)
  })
}
