import { publishToEach } from '../../utils/bench-readers'

/** Publishes a message to each of so many channels. */
export default defineEventHandler(async (event) => {
  const { count } = await readBody<{ count: number }>(event)
  await publishToEach(count)
  return {}
})
