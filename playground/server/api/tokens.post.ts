const LIFETIME_MS = 600_000

/**
 * Tokens for a client without a cookie: signs a user in, or renews the token of a sign-in. The two panes of one page use it, since a browser
 * has one cookie for both.
 */
export default defineEventHandler(async (event) => {
  const { user, signIn } = await readBody<{ user?: unknown, signIn?: unknown } | undefined>(event) ?? {}
  const id = typeof signIn === 'string' ? signIn : await beginSignIn(demoUser(user).id)
  const owner = await userOfSignIn(id)
  if (!owner) throw createError({ statusCode: 401, message: 'You have signed out.' })
  return { signIn: id, ...await createAccessToken(event, owner, id, LIFETIME_MS) }
})
