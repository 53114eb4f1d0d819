import { SSEError } from 'nuxt-sse/client'
import { FetchError } from 'ofetch'

/** What is left of a token when it is replaced: it should outlive the request. */
const MARGIN_MS = 1_000

/** The header of a request: with the token there is, or a fresh one. For the `headers` of `useSSE`, which asks at every attempt. */
export function useAccessToken() {
  let current: { token: string, expiresAt: number } | undefined
  return async () => {
    if (!current || current.expiresAt - Date.now() < MARGIN_MS) current = await $fetch('/api/notices/token', { method: 'POST' }).catch(refused)
    return { authorization: `Bearer ${current.token}` }
  }
}

/** Whoever may have no token need not ask for one again and again: of an `SSEError`, the status says so. */
function refused(error: unknown): never {
  if (error instanceof FetchError && error.statusCode === 401) throw new SSEError('SIGNED_OUT', 'You have signed out.', { statusCode: 401 })
  throw error
}
