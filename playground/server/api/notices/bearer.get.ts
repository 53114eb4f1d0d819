/** Authenticated by a token in a header. When it expires on an open stream, the client reconnects with a fresh one. */
export default defineSSEHandler(async (event) => {
  const { user, signIn, expiresAt } = await requireAccessToken(event)
  event.context.token = { signIn, expiresAt }
  return noticesOf(user)
}, {
  revalidate: {
    everyMs: REVALIDATE_MS,
    async check({ context: { token } }) {
      if (!await isSignedIn(token.signIn)) return false
      return Date.now() < token.expiresAt || 'leave'
    },
  },
})
