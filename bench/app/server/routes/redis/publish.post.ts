import { message } from '../../utils/bench-messages'
import { redisPeers } from '../../utils/bench-redis'

/** Runs `callers` concurrent callers. Each publishes its next message when Redis has stored its last one. */
export default defineEventHandler(async (event) => {
  const { peer, callers, each } = await readBody<{ peer: string, callers: number, each: number }>(event)
  const publish = redisPeers[peer]!.publish!
  const began = performance.now()
  await Promise.all(Array.from({ length: callers }, async () => {
    for (let n = 0; n < each; n++) await publish(message(n))
  }))
  return { ms: performance.now() - began }
})
