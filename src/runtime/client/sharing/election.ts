import type { SSEMessage } from '../../shared/types'
import type { SSEClientState, SSEGap } from '../types'

/** Step of a group's feed. It names its starting point, so that members detect a missing step. */
export interface FeedEvent {
  /** Position of the feed before this step, or the requested position while the source has sent none. */
  after: string | undefined
  /** State of the feeding client. Its position is the feed's position after this step. */
  state: SSEClientState
  message?: SSEMessage
  /** Gap between `after` and the position of `state`. */
  gap?: SSEGap
}

/** Period in which a follower checks the leader, in milliseconds. */
const PERIOD_MS = 2_000
/** Periods without an event from the leader after which its lock is stolen. In all but the first, the follower has requested one. */
const SILENT_PERIODS = 3
/** Time in which the last event of a leader may arrive after its lock is released, in milliseconds. */
const LAST_EVENT_MS = 500

interface ElectionHost {
  /** Feeds the group until the signal is aborted, and publishes each event to all tabs. */
  lead(signal: AbortSignal, publish: (event: FeedEvent) => void): void
  /** Delivers an event of the feed to the members in this tab. */
  share(event: FeedEvent): void
  /** Last event of the feed. */
  latest(): FeedEvent | undefined
  /** Whether a new leader can resume the feed. */
  isRepeatable(): boolean
  /** Whether this tab may take part at the moment. */
  isEligible(): boolean
}

/** A tab's part in the election. */
export interface Candidate {
  /** Takes part, unless it already does. */
  enter(): void
  /** Steps down, and stops following. */
  leave(): void
}

/** Name of a group's lock and channel. A hash, since the key may contain a token, and developer tools show the names of locks. */
export async function lockName(key: string): Promise<string> {
  return `nuxt-sse:${btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key)))))}`
}

/**
 * Elects one tab of the browser as the leader, which feeds the others. The leader holds a Web Lock, which the browser passes on when the tab
 * is closed or crashes. If the leader falls silent, another tab steals the lock.
 *
 * This file imports nothing at run time, so that it is a chunk of its own.
 */
export function elect(name: string, ended: AbortSignal, { lead, share, latest, isRepeatable, isEligible }: ElectionHost): Candidate {
  let candidacy: AbortController | undefined
  // Identifies the newer of two leaders: one whose lock was stolen while it slept still sends events when it wakes.
  let term = 0

  function enter(steal?: true): void {
    if ((candidacy && !candidacy.signal.aborted) || ended.aborted || !isEligible()) return
    const own = candidacy = new AbortController()
    const { signal } = own
    ended.addEventListener('abort', () => own.abort(), { signal })
    const channel = new BroadcastChannel(name)
    let leading = false
    let silent = 0

    const requestEvent = () => channel.postMessage(0)
    const reenter = (steal?: true) => {
      leave()
      enter(steal)
    }

    function publish(event: FeedEvent): void {
      const { error, channels } = event.state
      // A structured clone of an error loses its own fields.
      const plain = (error: unknown) => error instanceof Error ? { ...error, message: error.message } : error
      channel.postMessage({ ...event, term, state: { ...event.state, error: plain(error), channels: channels && Object.fromEntries(Object.entries(channels).map(([key, over]) => [key, plain(over)])) } })
    }

    async function hold(): Promise<void> {
      // The last event of the previous leader may still arrive. It shows whether the source has ended.
      if (latest() && !signal.aborted && !isRepeatable()) await new Promise(resolve => setTimeout(resolve, LAST_EVENT_MS))
      if (signal.aborted) return
      leading = true
      term = Math.max(Date.now(), term + 1)
      return new Promise((release) => {
        signal.addEventListener('abort', () => release())
        lead(signal, (event) => {
          publish(event)
          share(event)
        })
      })
    }

    channel.onmessage = ({ data }) => {
      if (!data) {
        const event = latest()
        if (leading && event) publish(event)
        return
      }
      if (data.term < term) return
      if (leading) return reenter()
      term = data.term
      silent = 0
      share(data)
    }
    // In hidden tabs timers are late, but messages are not: a leader that runs answers in time.
    const timer = setInterval(() => {
      if (leading) return
      if (silent > SILENT_PERIODS - 1) reenter(true)
      else if (silent++) requestEvent()
    }, PERIOD_MS)
    signal.addEventListener('abort', () => {
      clearInterval(timer)
      channel.close()
    })

    requestEvent()
    navigator.locks.request(name, steal ? { steal } : { signal }, hold).catch(() => {
      // The lock was stolen. Or there are no locks here, as in a sandboxed frame, and this tab leads alone.
      if (signal.aborted) return
      if (leading) reenter()
      else void hold()
    })
  }

  const leave = () => candidacy?.abort()

  return { enter: () => enter(), leave }
}
