import { useIntervalFn } from '@vueuse/core'
import type { SSEStatus, SSETransport } from 'nuxt-sse/client'
import type { ConnectionView } from './use-timeline'

export const MINUTE_SECONDS = 60

/** One second of a connection. */
export interface Second {
  /** Seconds since 1970. */
  at: number
  messages: number
  transport: SSETransport
  /** Worst status within the second. */
  status: SSEStatus
}

const WORSE: SSEStatus[] = ['connected', 'closed', 'idle', 'connecting', 'reconnecting']

/** Last minute of a connection, second by second, the newest last. */
export function useLastMinute(connection: () => ConnectionView) {
  const seconds = shallowRef<Second[]>([])
  let current: Second | undefined

  function now(): Second {
    const { transport, status } = connection()
    const at = Math.floor(Date.now() / 1_000)
    if (current?.at !== at) {
      if (current) seconds.value = [...seconds.value, current].filter(second => second.at > at - MINUTE_SECONDS)
      current = { at, messages: 0, transport: transport.value, status: status.value }
    }
    return current!
  }

  function look(): void {
    const { transport, status } = connection()
    const second = now()
    second.transport = transport.value
    if (WORSE.indexOf(status.value) > WORSE.indexOf(second.status)) second.status = status.value
  }

  watch(connection, (next, _, onCleanup) => onCleanup(next.on('*', () => now().messages++)), { immediate: true })
  watch(() => [connection().status.value, connection().transport.value], look, { flush: 'sync' })
  useIntervalFn(look, 1_000)

  return seconds
}
