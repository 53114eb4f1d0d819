import { openReaders } from '../../utils/bench-readers'

/** Reads so many channels, on the server: what one process asks of Redis has nothing to do with how messages leave it. */
export default defineEventHandler(async (event) => {
  const { count } = await readBody<{ count: number }>(event)
  await openReaders(count)
  return {}
})
