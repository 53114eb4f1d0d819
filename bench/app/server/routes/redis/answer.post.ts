import { redisPeers } from '../../utils/bench-redis'

/** Answers of so many tokens, one each `everyMs`, all at once. */
export default defineEventHandler(async (event) => {
  const { peer, names, count, everyMs } = await readBody<{ peer: string, names: string[], count: number, everyMs: number }>(event)
  await Promise.all(names.map(name => redisPeers[peer]!.answer!(name, count, everyMs)))
  return {}
})
