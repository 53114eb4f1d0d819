import { follow } from '../../shared/abort'
import { SSEError } from '../../shared/errors'
import { delay } from '../delay'
import { isHidden, watchPage } from '../page-life'
import type { FeedEvent } from './feed-event'

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
}

/** Web Locks are only in secure contexts, and not in old browsers. */
export function canElect(): boolean {
  return !!globalThis.navigator?.locks && !!globalThis.BroadcastChannel
}

/**
 * Lets one tab of the browser lead, and feed the others. A Web Lock decides which: the browser hands it on when a tab is closed or
 * crashes. A tab that is about to be frozen steps down by itself, and one that has fallen silent has its lock stolen.
 */
export function elect(name: string, pauseWhenHidden: boolean | undefined, over: AbortSignal, { lead, share, now, isRepeatable }: Electorate): void {
  let stay: AbortController | undefined
  // Tells which leader is newer: one whose lock was stolen while it slept goes on talking when it wakes.
  let term = 0

  function enter(steal?: true): void {
    if ((stay && !stay.signal.aborted) || (pauseWhenHidden && isHidden())) return
    stay = follow(over)
    const { signal } = stay
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
      if (now() && !signal.aborted && !isRepeatable()) await delay(WORD_MS, signal)
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
      const { error } = data.state
      if (error) data.state.error = new SSEError(error.code, error.message, error)
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

  // Before any client listens: what it says of its sleep is for nobody.
  watchPage(over, (event) => {
    if (event === 'sleep' || (pauseWhenHidden && event === 'hidden')) {
      if (!isRepeatable()) return
      leave()
      const event = now()
      if (event) share({ ...event, state: { ...event.state, status: 'idle', error: undefined } })
    }
    else if (event === 'wake') enter()
  })
  enter()
}
