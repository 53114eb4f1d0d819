import type { H3Event } from 'h3'

/** Signed-in reader of a request. */
export interface Reader {
  user: { id: string, name: string }
  /** ID of the sign-in on the server. */
  signIn: string
  /** End of the token's lifetime, in epoch milliseconds. A cookie has none. */
  expiresAt?: number
}

/** Reader of a request with a token or a cookie. Throws 401 without either, and after a sign-out. */
export async function requireReader(event: H3Event): Promise<Reader> {
  if (!getRequestHeader(event, 'authorization')) return requireSignedIn(event)
  const { user: id, ...rest } = await requireAccessToken(event)
  return { user: demoUser(id), ...rest }
}

/** Check for `revalidate`: whether the reader of an open stream is still signed in. An expired token makes the client reconnect with a fresh one. */
export async function isStillSignedIn({ context: { reader } }: H3Event): Promise<boolean | 'leave'> {
  const { signIn, expiresAt = Infinity } = reader as Reader
  if (!await isSignedIn(signIn)) return false
  return Date.now() < expiresAt || 'leave'
}

/** ID of the user of a request, however it authenticates, or `undefined`. */
export async function userIdOf(event: H3Event): Promise<string | undefined> {
  try {
    if (getQuery(event).ticket) return (await requireSSETicket<{ user: string }>(event)).claims.user
    return (await requireReader(event)).user.id
  }
  catch {
    return undefined
  }
}

export function demoUser(id: unknown): Reader['user'] {
  const user = DEMO_USERS.find(one => one.id === id)
  if (!user) throw createError({ statusCode: 422, message: `Expected \`user\` to be one of ${DEMO_USERS.map(one => one.id).join(', ')}.` })
  return user
}
