import { notifyUsers } from '../../utils/bench-users'

export default defineEventHandler(async (event) => {
  const { count, each } = await readBody<{ count: number, each: number }>(event)
  await notifyUsers(count, each)
  return {}
})
