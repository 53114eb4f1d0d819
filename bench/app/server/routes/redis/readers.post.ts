import { openReaders } from '../../utils/bench-readers'

/** Reads `count` channels on the server: a process's load on Redis does not depend on how messages leave the process. */
export default defineEventHandler(async (event) => {
  const { count } = await readBody<{ count: number }>(event)
  await openReaders(count)
  return {}
})
