import { ratio, spread } from '../lib/numbers.ts'
import type { BenchContext, Row } from '../lib/row.ts'

const READERS = [1_000, 5_000, 10_000]
const WARM_UP = 500

interface Memory { heap: number, rss: number }

export const idle: Row = {
  name: 'idle',
  title: 'Memory of an idle connection',
  async run(context) {
    const rows: string[][] = []
    for (const readers of READERS) {
      const peers = context.peers(['ours', 'bare', 'better-sse', 'h3', 'hono'])
      const results = await context.alternate(peers, peer => measure(context, peer, readers))
      const of = (peer: string, what: keyof Memory) => results[peer]!.map(memory => memory[what])
      for (const peer of peers) {
        const compared = (what: keyof Memory) => results.bare && peer !== 'bare' ? ratio(of(peer, what), of('bare', what)).toFixed(2) : ''
        const row = [String(readers), peer, spread(of(peer, 'heap'), 1), compared('heap'), spread(of(peer, 'rss'), 1), compared('rss'), peer === 'ours' ? '≤ 1.25' : '']
        context.log(row.join('  '))
        rows.push(row)
      }
    }
    return { columns: ['connections', 'peer', 'KiB of heap', '/ bare', 'KiB resident', '/ bare', 'target'], rows, note: `Growth of the server's process per connection, after a collection; ${WARM_UP} earlier connections are open throughout. The kernel's memory for a socket is not included.` }
  },
}

function measure(context: BenchContext, peer: string, readers: number): Promise<Memory> {
  return context.withServer(async (server, load) => {
    const open = (count: number) => load.ask({ type: 'open', count, port: server.port, path: `/stream/${peer}`, group: 'all' })
    // The first connections also pay for compiled code and for the allocator's pages, which belong to no peer's connections.
    await open(WARM_UP)
    await server.usage({ gc: true })
    const before = await server.usage({ gc: true })
    await open(readers)
    await server.usage({ gc: true })
    const after = await server.usage({ gc: true })
    const perReader = (bytes: number) => bytes / readers / 1_024
    return {
      heap: perReader(after.heapUsed + after.external - before.heapUsed - before.external),
      rss: perReader(after.rss - before.rss),
    }
  })
}
