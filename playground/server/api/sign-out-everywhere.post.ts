/** Ends all sign-ins of the user, and all open streams, in every browser and on every instance. */
export default defineEventHandler(async (event) => {
  const { user } = await requireReader(event)
  // First: a client that reconnects meanwhile is refused.
  await endSignInsOf(user.id)
  await disconnectSSE(user.id, { message: 'You have signed out everywhere.' })
  return sendNoContent(event)
})
