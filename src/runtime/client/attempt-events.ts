import { MAX_TIMER_MS } from '../shared/rules'
import { MAX_SERVER_DELAY_MS } from './backoff'
import { isUpTo } from '../shared/position'
import { staleAnswer } from './response'
import type { ClientHost, TransportEvents } from './host'
import type { SSEError } from '../shared/errors'
import type { SSEMessage } from '../shared/types'
import type { SSEClientState } from './types'
import { forgetVerdict } from './verdict'

/** Time after which a connection counts as good, in milliseconds, where no silence limit is known: 2.5 heartbeats of 15 s. */
const GOOD_AFTER_MS = 37_500

/** Applies a transport's events to the client's state. Does nothing once the attempt is aborted. */
export function attemptEvents(signal: AbortSignal, isStream: boolean, { url, options, memory, state, set, receive, close }: ClientHost): TransportEvents {
  const { until } = options
  let good: ReturnType<typeof setTimeout> | undefined

  function hold(): void {
    memory.held = true
    memory.unfollowed = false
  }

  function deliver(message: SSEMessage, after: string | undefined, error?: SSEError): void | Promise<void> {
    if (signal.aborted) return
    const { position, had } = state()
    const change: Partial<SSEClientState> = { position: (after ?? position) || undefined, had: had && 'messages', attempt: 0 }
    if (error) return set({ ...change, error })
    const busy = receive(message, change)
    if (until?.(message) && !signal.aborted) close({ ended: true, error: undefined })
    return busy
  }

  signal.addEventListener('abort', () => clearTimeout(good))
  return {
    onOpen(silenceMs) {
      if (signal.aborted) return
      memory.silent = memory.unanswered = 0
      if (isStream) {
        memory.streamed = true
        memory.verdict = undefined
        forgetVerdict(url)
      }
      if (state().status !== 'connected') set({ status: 'connected', error: undefined })
      // Each batch of a poll calls this, and must not delay the success. `onState` may also have ended this attempt.
      if ((good && !silenceMs) || signal.aborted) return
      clearTimeout(good)
      // A 200 that breaks off at once is no success: failures keep counting, and the delay keeps growing.
      good = setTimeout(() => {
        hold()
        memory.failedRuns = 0
        if (state().attempt) set({ attempt: 0 })
      }, Math.min(silenceMs || options.silenceTimeoutMs || GOOD_AFTER_MS, MAX_TIMER_MS))
    },
    onPeer(peer, restarts, channels) {
      if (signal.aborted) return
      const { had, peer: known, channels: before } = state()
      memory.restarts = restarts
      if (restarts === undefined) {
        if (peer !== known || channels !== before) set({ peer, channels })
        return
      }
      // A run that sent no messages is no loss. A source that does not restart may have sent messages while the client was away.
      if (restarts ? had === 'messages' : had) set({ gap: { reason: restarts ? 'restarted' : 'unknown', missed: null } })
      set({ peer, had: had ?? 'stream' })
    },
    onMessage(message, after = message.id) {
      if (signal.aborted) return
      const { peer, position } = state()
      if (peer === 'resumable' && isUpTo(message.id, position)) throw staleAnswer()
      clearTimeout(good)
      hold()
      if (!options.schema && !options.events) return deliver(message, after)
      return options.loadFallback().then(({ checkMessage }) => checkMessage!(message, options, options.connectTimeoutMs)).then(checked => deliver(checked[0], after, checked[1]))
    },
    onPosition(position) {
      if (!signal.aborted && position !== (state().position ?? '')) set({ position: position || undefined })
    },
    onGap(gap, position = gap.position) {
      if (!signal.aborted) set({ gap, position })
    },
    onState(change) {
      if (!signal.aborted) set(change)
    },
    onRetry(ms) {
      if (!signal.aborted) memory.retryMs = Math.min(ms, MAX_SERVER_DELAY_MS)
    },
  }
}
