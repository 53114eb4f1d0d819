import type { SSEError, SSEGap, SSEStatus, SSETransport } from 'nuxt-sse/client'
import type { TimelineEntry } from './use-timelines'

/** State of a connection that every `useSSE` returns, whatever the type of its messages. */
export interface ConnectionView {
  status: Readonly<Ref<SSEStatus>>
  transport: Readonly<Ref<SSETransport>>
  position: Readonly<Ref<string | undefined>>
  attempt: Readonly<Ref<number>>
  ended: Readonly<Ref<boolean>>
  error: Readonly<Ref<SSEError | undefined>>
  gap: Readonly<Ref<SSEGap | undefined>>
  on: (event: '*', callback: (message: { id?: string, event?: string, channel?: string }) => void) => () => void
}

/** Notes the client's state on the page's timeline. The connection may be replaced at any time. */
export function useTimeline(connection: () => ConnectionView) {
  const { path } = useRoute()
  const { timelines, ...all } = useTimelines()
  const entries = computed(() => timelines.value[path] ?? [])
  const now = computed(() => {
    const { status, transport, position, attempt, ended, error } = connection()
    return { status: status.value, transport: transport.value, position: position.value, attempt: attempt.value, ended: ended.value, error: error.value }
  })
  let lost = { at: 0, position: undefined as string | undefined }

  function note(text: string, { actor = 'client', ...more }: Partial<TimelineEntry> = {}): void {
    all.note(path, { actor, text, ...more })
  }

  function describe(before: SSEStatus): void {
    const { status, transport, position, attempt, ended, error } = now.value
    if (status === 'connected' && before !== 'reconnecting') note(`connected by ${transport}`, { tone: 'good' })
    else if (status === 'connected') {
      const after = `back after ${((performance.now() - lost.at) / 1000).toFixed(1)} s`
      // Position at which the connection was lost: more messages may have arrived since.
      note(lost.position ? `${after}, resumed behind` : after, { tone: 'good', position: lost.position })
    }
    else if (status === 'reconnecting') {
      if (before !== 'reconnecting') lost = { at: performance.now(), position }
      const what = error ? `${error.code}${error.statusCode ? ` ${error.statusCode}` : ''}` : 'asked to reconnect'
      note(attempt > 1 ? `${what}, attempt ${attempt}` : `lost (${what}), trying again`, { tone: 'warn', position })
    }
    else if (status === 'closed' && error) note(`${error.code}: ${error.message}`, { tone: 'bad', position })
    else if (status === 'closed') note(ended ? 'complete' : 'stopped', { position })
  }

  watch([() => now.value.status, () => now.value.attempt, connection], ([status, attempt, is], [before, attemptBefore, was]) => {
    // Another connection starts from its own state: the status of the previous one is not a loss.
    if (is !== was) before = 'idle'
    if (status !== before || (status === 'reconnecting' && attempt > attemptBefore)) describe(before)
  })
  watch([() => now.value.transport, connection], ([transport, is], [, was]) => {
    if (is === was && now.value.status !== 'connecting') note(`hands over to ${transport}`, { position: now.value.position })
  })

  return { entries, note }
}
