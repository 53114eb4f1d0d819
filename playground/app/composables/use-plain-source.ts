import type { Notice } from '#shared/types/notice'

/** Delay before the next request for a ticket, in milliseconds. */
const RETRY_MS = 1_000

/**
 * Notices through the browser's own `EventSource`, which can send no header, with a ticket in its URL.
 *
 * It reconnects by itself with the same URL, and gives up permanently when the ticket has expired. A fresh ticket and another `EventSource`
 * then continue after the last message.
 */
export function usePlainSource(query: () => Record<string, string>, onNotice: (notice: Notice & { id: string }) => void) {
  const status = ref<'opening' | 'open' | 'signed out'>('opening')
  const tickets = ref(0)
  let source: EventSource | undefined
  let position = ''
  let timer: ReturnType<typeof setTimeout> | undefined
  let stopped = false

  async function open(): Promise<void> {
    try {
      const { ticket } = await $fetch('/api/notices/ticket', { method: 'POST' })
      if (stopped) return
      tickets.value++
      source = new EventSource(`/api/notices/plain?${new URLSearchParams({ ...query(), position, ticket })}`)
    }
    catch (error) {
      if ((error as { statusCode?: number }).statusCode === 401) status.value = 'signed out'
      else again()
      return
    }
    source.onopen = () => status.value = 'open'
    source.onmessage = ({ data, lastEventId }) => {
      position = lastEventId
      onNotice({ ...JSON.parse(data), id: lastEventId })
    }
    source.onerror = () => {
      status.value = 'opening'
      if (source?.readyState === EventSource.CLOSED) again()
    }
  }

  function again(): void {
    if (!stopped) timer = setTimeout(open, RETRY_MS)
  }

  onMounted(open)
  onScopeDispose(() => {
    stopped = true
    clearTimeout(timer)
    source?.close()
  })
  return { status, tickets }
}
