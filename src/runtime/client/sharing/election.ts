import type { SSEMessage } from '../../shared/types'
import type { SSEClientState, SSEGap } from '../types'

/** One step of a group's feed. Each says where it begins, so that a hole is seen. */
export interface FeedEvent {
  /** Where the feed stood before: a position, or what was asked for while there was none. */
  after: string | undefined
  /** The feeding client's. Its position is where the feed stands now. */
  state: SSEClientState
  message?: SSEMessage
  /** What was missed between `after` and now. */
  gap?: SSEGap
}

/** How often a follower looks whether the leader lives, in milliseconds. */
const PERIOD_MS = 2_000
/** Periods without a word from the leader, in all but one of them asked for, after which its lock is stolen. */
const SILENT_PERIODS = 3
/** How much later than its lock the last word of a leader may arrive, in milliseconds. */
const WORD_MS = 500

interface Electorate {
  /** Feeds the group until the signal is aborted. */
  lead(signal: AbortSignal, tell: (event: FeedEvent) => void): void
  share(event: FeedEvent): void
  now(): FeedEvent | undefined
  /** Whether the next leader can go on. */
  isRepeatable(): boolean
  /** Whether this tab may take part at the moment. */
  isEligible(): boolean
}

/** A tab's part in the election. */
export interface Seat {
  /** Takes part, if it does not. */
  enter(): void
  /** Steps down. */
  leave(): void
}

/** A hash, since the key may contain a token, and developer tools show the names of locks. */
export async function nameOf(key: string): Promise<string> {
  return `nuxt-sse:${btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key)))))}`
}

/**
 * Lets one tab of the browser lead, and feed the others. A Web Lock decides which: the browser hands it on when a tab is closed or
 * crashes. The lock of one that has fallen silent is stolen.
 *
 * Imports nothing, so that it is a chunk of its own.
 */
export function elect(name: string, over: AbortSignal, { lead, share, now, isRepeatable, isEligible }: Electorate): Seat {
  let stay: AbortController | undefined
  // Tells which leader is newer: one whose lock was stolen while it slept goes on talking when it wakes.
  let term = 0

  function enter(steal?: true): void {
    if ((stay && !stay.signal.aborted) || over.aborted || !isEligible()) return
    const own = stay = new AbortController()
    const { signal } = own
    over.addEventListener('abort', () => own.abort(), { signal })
    const channel = new BroadcastChannel(name)
    let leading = false
    let silent = 0

    const ask = () => channel.postMessage(0)
    const again = (robbing?: true) => {
      leave()
      enter(robbing)
    }

    function tell(event: FeedEvent): void {
      const { error } = event.state
      // A clone of an error has lost its fields.
      channel.postMessage({ ...event, term, state: { ...event.state, error: error && { ...error, message: error.message } } })
    }

    async function hold(): Promise<void> {
      // Was it lost, or has it ended?
      if (now() && !signal.aborted && !isRepeatable()) await new Promise(resolve => setTimeout(resolve, WORD_MS))
      if (signal.aborted) return
      leading = true
      term = Math.max(Date.now(), term + 1)
      return new Promise((release) => {
        signal.addEventListener('abort', () => release())
        lead(signal, (event) => {
          tell(event)
          share(event)
        })
      })
    }

    channel.onmessage = ({ data }) => {
      if (!data) {
        const event = now()
        if (leading && event) tell(event)
        return
      }
      if (data.term < term) return
      if (leading) return again()
      term = data.term
      silent = 0
      share(data)
    }
    // In hidden tabs timers are late, messages are not: whoever leads answers in time.
    const timer = setInterval(() => {
      if (leading) return
      if (silent > SILENT_PERIODS - 1) again(true)
      else if (silent++) ask()
    }, PERIOD_MS)
    signal.addEventListener('abort', () => {
      clearInterval(timer)
      channel.close()
    })

    ask()
    navigator.locks.request(name, steal ? { steal } : { signal }, hold).catch(() => {
      // The lock was stolen; or there are no locks here, as in a sandboxed frame, and nobody to share with.
      if (signal.aborted) return
      if (leading) again()
      else void hold()
    })
  }

  const leave = () => stay?.abort()

  return { enter: () => enter(), leave }
}
