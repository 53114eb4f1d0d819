import { redisPeers } from '../../utils/bench-redis'

export default defineEventHandler(async (event) => {
  const { peer, count } = await readBody<{ peer: string, count: number }>(event)
  await redisPeers[peer]!.fill(count)
  return {}
})
