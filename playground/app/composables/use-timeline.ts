import type { SSEError, SSEGap, SSEStatus, SSETransport } from 'nuxt-sse/client'

/** What every `useSSE` says of its connection, whatever its messages are. */
export interface ConnectionView {
  status: Readonly<Ref<SSEStatus>>
  transport: Readonly<Ref<SSETransport>>
  position: Readonly<Ref<string | undefined>>
  attempt: Readonly<Ref<number>>
  ended: Readonly<Ref<boolean>>
  error: Readonly<Ref<SSEError | undefined>>
  gap: Readonly<Ref<SSEGap | undefined>>
  on: (event: '*', callback: () => void) => () => void
}

export interface TimelineEntry {
  id: number
  at: string
  text: string
  tone?: 'good' | 'warn' | 'bad'
}

const MAX_ENTRIES = 12

/** What happened to a page's connection, newest first. It outlives the connection, as another choice of transports makes a new one. */
export function useTimeline({ status, transport, position, attempt, ended, error, gap }: ConnectionView) {
  const entries = useState<TimelineEntry[]>(`timeline:${useRoute().path}`, () => [])
  let lostAt = 0

  function note(text: string, tone?: TimelineEntry['tone'], over = entries.value): void {
    const at = new Date().toLocaleTimeString(undefined, { hourCycle: 'h23' })
    entries.value = [{ id: (over[0]?.id ?? 0) + 1, at, text, tone }, ...over].slice(0, MAX_ENTRIES)
  }

  function describe(now: SSEStatus, before: SSEStatus): void {
    if (now === 'connected' && before !== 'reconnecting') note(`connected by ${transport.value}`, 'good')
    else if (now === 'connected') {
      const after = `back after ${((performance.now() - lostAt) / 1000).toFixed(1)} s`
      note(position.value ? `${after}, resumed behind ${position.value}` : after, 'good')
    }
    else if (now === 'reconnecting') {
      if (before !== 'reconnecting') lostAt = performance.now()
      const what = error.value ? `lost (${error.value.code})` : 'asked by the server to come back'
      // One line for one loss, however many attempts it takes.
      if (attempt.value > 1) note(`${what}, attempt ${attempt.value}`, 'warn', entries.value.slice(1))
      else note(`${what}, trying again`, 'warn')
    }
    else if (now === 'closed' && error.value) note(`${error.value.code}: ${error.value.message}`, 'bad')
    else if (now === 'closed') note(ended.value ? 'complete' : 'stopped')
  }

  watch([status, attempt], ([now, attempts], [before, attemptsBefore]) => {
    if (now !== before || (now === 'reconnecting' && attempts > attemptsBefore)) describe(now, before)
  })
  watch(transport, (now) => {
    if (status.value !== 'connecting') note(`handed over to ${now}`)
  })
  watch(gap, (now) => {
    if (now) note(`gap (${now.reason}): ${now.missed ?? 'an unknown number'} missed`, 'warn')
  })

  return { entries, note }
}
