/** Authenticated by a token in a header. When it expires on an open stream, the client reconnects with a fresh one. */
export default defineSSEHandler(async (event) => {
  const { user, ...rest } = await requireAccessToken(event)
  event.context.reader = rest
  return noticesOf(user)
}, { clientKey, revalidate: { everyMs: REVALIDATE_MS, check: isStillSignedIn } })
