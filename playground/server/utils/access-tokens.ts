import type { H3Event } from 'h3'
import { SignJWT, jwtVerify } from 'jose'

const TYPE = 'at+jwt'

const key = (event: H3Event) => new TextEncoder().encode(useRuntimeConfig(event).session.password)

/** Access token that a client other than a page would send as `Authorization: Bearer …`. */
export async function createAccessToken(event: H3Event, user: string, signIn: string, lifetimeMs = useRuntimeConfig(event).signIn.tokenMs) {
  const expiresAt = Math.ceil((Date.now() + lifetimeMs) / 1000)
  const token = await new SignJWT({ signIn }).setProtectedHeader({ alg: 'HS256', typ: TYPE }).setSubject(user).setExpirationTime(expiresAt).sign(key(event))
  return { token, expiresAt: expiresAt * 1000 }
}

export async function requireAccessToken(event: H3Event): Promise<{ user: string, signIn: string, expiresAt: number }> {
  const [, token] = /^Bearer (.+)$/i.exec(getRequestHeader(event, 'authorization') ?? '') ?? []
  // Any failure has the same effect: the caller should request another token.
  const verified = token && await jwtVerify<{ signIn: string }>(token, key(event), { algorithms: ['HS256'], typ: TYPE }).catch(() => undefined)
  if (!verified) throw createError({ statusCode: 401, message: 'A valid token is needed.' })
  const { sub, signIn, exp } = verified.payload
  if (!await isSignedIn(signIn)) throw createError({ statusCode: 401, message: 'You have signed out.' })
  return { user: sub!, signIn, expiresAt: exp! * 1000 }
}
