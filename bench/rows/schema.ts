import { median, spread } from '../lib/numbers.ts'
import type { Row } from '../lib/row.ts'

const COUNT = 100_000
const PEERS = ['without a schema', 'zod, 5 fields']

export const schema: Row = {
  name: 'schema',
  title: 'Publishing with a schema',
  async run(context) {
    const results = await context.alternate(PEERS, peer => context.withServer(async (server) => {
      await server.post('/schema', { peer, count: COUNT })
      return (await server.post<{ us: number }>('/schema', { peer, count: COUNT })).us
    }))
    const base = median(results[PEERS[0]!]!)
    const rows = PEERS.map((peer, index) => [peer, spread(results[peer]!), index ? (median(results[peer]!) - base).toFixed(2) : '', index ? '≤ 3' : ''])
    for (const row of rows) context.log(row.join('  '))
    return { columns: ['channel', 'µs a message', 'µs more', 'target'], rows, note: `${COUNT.toLocaleString('en')} messages of 90 bytes, one after the other, with the memory driver and no reader.` }
  },
}
