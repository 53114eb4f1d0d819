import { redisPeers } from '../../utils/bench-redis'

/** Produces one answer per name concurrently, each of `count` tokens, one every `everyMs`. */
export default defineEventHandler(async (event) => {
  const { peer, names, count, everyMs } = await readBody<{ peer: string, names: string[], count: number, everyMs: number }>(event)
  await Promise.all(names.map(name => redisPeers[peer]!.answer!(name, count, everyMs)))
  return {}
})
