import type { Notice } from '#shared/types/notice'

/** Remaining lifetime below which a token is replaced, in milliseconds. */
const MARGIN_MS = 5_000

/** One of two users on one page. A browser has one cookie for both, so each pane sends a token of its own. */
export function useUserPane(user: string) {
  let session: Promise<{ signIn: string, token: string, expiresAt: number }> | undefined

  const request = (body: { user: string } | { signIn: string }) => $fetch('/api/tokens', { method: 'POST', body }).catch(refused)

  async function headers() {
    const current = await (session ??= request({ user }))
    if (current.expiresAt - Date.now() > MARGIN_MS) return { authorization: `Bearer ${current.token}` }
    return { authorization: `Bearer ${(await (session = request({ signIn: current.signIn }))).token}` }
  }

  const { all, notices, people, reconnect } = useLive(() => undefined, headers)
  const received = ref<(Notice & { id: string })[]>([])
  notices.on('message', ({ id, data }) => received.value.unshift({ ...data, id: id! }))

  const send = async (body: { to: string, text: string }) => {
    await $fetch('/api/notices', { method: 'POST', headers: await headers(), body })
  }
  const signOutEverywhere = async () => {
    await $fetch('/api/sign-out-everywhere', { method: 'POST', headers: await headers() })
  }
  function signIn(): void {
    session = undefined
    reconnect()
  }

  return { user, connection: all, notices: received, people, send, signIn, signOutEverywhere }
}
