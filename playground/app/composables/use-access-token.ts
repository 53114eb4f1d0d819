/** Remaining lifetime below which a token is replaced, in milliseconds: it should outlive the request. */
const MARGIN_MS = 1_000

/** Authorization header of a request, with the current token or a fresh one. For the `headers` of `useSSE`, which are read at every attempt. */
export function useAccessToken() {
  let current: { token: string, expiresAt: number } | undefined
  return async () => {
    if (!current || current.expiresAt - Date.now() < MARGIN_MS) current = await $fetch('/api/notices/token', { method: 'POST' }).catch(refused)
    return { authorization: `Bearer ${current.token}` }
  }
}
