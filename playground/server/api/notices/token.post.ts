/** A fresh token for whoever is signed in. */
export default defineEventHandler(async (event) => {
  const { user, signIn } = await requireSignedIn(event)
  return createAccessToken(event, user.id, signIn)
})
