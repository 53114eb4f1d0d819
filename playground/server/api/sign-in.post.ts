export default defineEventHandler(async (event) => {
  const user = demoUser((await readBody<{ user?: unknown } | undefined>(event))?.user)
  const session = await getUserSession(event)
  if (session.secure) await endSignIn(session.secure.signIn)
  await replaceUserSession(event, { user, secure: { signIn: await beginSignIn(user.id) } })
  return { user }
})
