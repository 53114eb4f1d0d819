import { randomUUID } from 'node:crypto'
import type { H3Event } from 'h3'

/** Sign-ins, kept on the server: with Redis, for all instances (`plugins/sign-ins.ts`). */
const signIns = () => useStorage<{ user: string }>('sign-ins')

export async function beginSignIn(user: string): Promise<string> {
  const id = randomUUID()
  await signIns().setItem(id, { user })
  return id
}

export const isSignedIn = async (id: unknown) => typeof id === 'string' && id !== '' && signIns().hasItem(id)

export const userOfSignIn = async (id: string) => (await signIns().getItem(id))?.user

export const endSignIn = (id: string) => signIns().removeItem(id)

export async function endSignInsOf(user: string): Promise<void> {
  const ids = await signIns().getKeys()
  await Promise.all(ids.map(async id => await userOfSignIn(id) === user && endSignIn(id)))
}

/** User of the request's cookie. Throws 401 without a valid session, and after a sign-out. Suitable for `revalidate`, too. */
export async function requireSignedIn(event: H3Event) {
  const { user, secure } = await requireUserSession(event, { message: 'Sign in first.' })
  if (!await isSignedIn(secure?.signIn)) throw createError({ statusCode: 401, message: 'You have signed out.' })
  return { user, signIn: secure!.signIn }
}
