import { defineSSEChannel } from 'nuxt-sse/publisher'
import { z } from 'zod'

const retention = { maxMessages: 100 }
const channels = {
  'without a schema': defineSSEChannel('plain', { retention }),
  'zod, 5 fields': defineSSEChannel('checked', {
    retention,
    schema: z.object({ id: z.number(), title: z.string().min(1), done: z.boolean(), tags: z.array(z.string()), at: z.number().optional() }),
  }),
}

/** Publishes one message after the other on a channel with or without a schema. */
export default defineEventHandler(async (event) => {
  const { peer, count } = await readBody<{ peer: keyof typeof channels, count: number }>(event)
  const channel = channels[peer]()
  const began = performance.now()
  for (let id = 0; id < count; id++) await channel.publish({ id, title: 'Write the report', done: false, tags: ['work', 'today'], at: 1_764_500_000_000 + id })
  return { us: (performance.now() - began) * 1_000 / count }
})
