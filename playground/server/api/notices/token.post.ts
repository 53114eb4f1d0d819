/** Fresh token for a signed-in user. */
export default defineEventHandler(async (event) => {
  const { user, signIn } = await requireSignedIn(event)
  return createAccessToken(event, user.id, signIn)
})
