/** By a token in a header. One that expires while the stream is open sends its client for a fresh one. */
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
