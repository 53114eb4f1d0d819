import type { SSEGap } from 'nuxt-sse/client'
import type { FeedEntry } from '#shared/types/feed'

/** Feed and its visitors: two channels on one connection, which all tabs of the browser may share. */
export function useFeed(onPost: (post: FeedEntry & { id: string }) => void, onGap: (gap: SSEGap) => void) {
  const { tab, isShared } = useTab()
  isShared.value = false
  const { connection, transports } = useSwitchable((transports, before) => {
    const options = { share: isShared.value ? 'browser' : 'page', query: () => ({ tab: tab.value }), transports, connectTimeoutMs: CONNECT_TIMEOUT_MS } as const
    const all = useSSE('/api/feed/stream', { ...options, position: before?.position.value, onGap })
    all.on('feed', ({ id, data }) => onPost({ ...data as FeedEntry, id: id! }))
    const here = useSSE('/api/feed/stream', { ...options, channel: 'here', initial: [], reduce: reduceSSEPresence<{ name: string }> })
    return { ...all, people: here.data }
  }, undefined, isShared)
  onScopeDispose(() => isShared.value = false)

  return { connection, transports, isShared }
}
