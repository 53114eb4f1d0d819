import { publishToEach } from '../../utils/bench-readers'

/** Publishes one message to each of `count` channels. */
export default defineEventHandler(async (event) => {
  const { count } = await readBody<{ count: number }>(event)
  await publishToEach(count)
  return {}
})
