import { redisPeers } from '../../utils/bench-redis'

/** An answer of so many tokens, one each `everyMs`. */
export default defineEventHandler(async (event) => {
  const { peer, count, everyMs } = await readBody<{ peer: string, count: number, everyMs: number }>(event)
  await redisPeers[peer]!.answer!(count, everyMs)
  return {}
})
