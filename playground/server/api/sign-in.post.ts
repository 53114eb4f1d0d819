export default defineEventHandler(async (event) => {
  const { user: id } = await readBody<{ user?: unknown } | undefined>(event) ?? {}
  const user = DEMO_USERS.find(one => one.id === id)
  if (!user) throw createError({ statusCode: 422, message: `Expected \`user\` to be one of ${DEMO_USERS.map(one => one.id).join(', ')}.` })
  const session = await getUserSession(event)
  if (session.secure) await endSignIn(session.secure.signIn)
  await replaceUserSession(event, { user, secure: { signIn: await beginSignIn(user.id) } })
  return { user }
})
