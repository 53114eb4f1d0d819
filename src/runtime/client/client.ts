import { follow } from '../shared/abort'
import { SSEError } from '../shared/errors'
import { MAX_TIMER_MS } from '../shared/timers'
import type { SSETransport } from '../shared/types'
import type { Backoff } from './backoff'
import { MAX_ASKED_MS, backoffDelay } from './backoff'
import { delay } from './delay'
import type { Fallback, PollMemory } from './fallback'
import { createGuard } from './guard'
import type { ResolvedClientOptions } from './options'
import type { PageEvent } from './page-life'
import { isHidden, watchPage } from './page-life'
import { isUpTo } from './position'
import { isRepeatable, prepareRequest } from './request'
import { clientError, interrupted, passingError, revised, staleAnswer } from './response'
import { streamTransport } from './transports/stream'
import type { Outcome, SSEClient, SSEClientEvents, SSEClientState, TransportEvents } from './types'
import { forgetVerdict, recallVerdict } from './verdict'

/** After this many attempts in a row in which nothing came, polling takes over. */
const MUTE_ATTEMPTS = 2
/** How long a connection must hold to count as a good one where nothing says how long a silence may be. */
const GOOD_AFTER_MS = 37_500

export function initialState(transport: SSETransport): SSEClientState {
  return { status: 'idle', error: undefined, position: undefined, transport, attempt: 0, ended: false, gap: undefined }
}

/**
 * The state machine: connects, notices silence, reconnects, falls back to polling, resumes. Without a framework. Every state and input
 * is in `docs/client-states.md`.
 *
 * What runs between `connect()` and its end is one life, with one abort signal. Whatever belongs to an earlier life finds
 * its signal aborted, and nothing of it reaches the state or the callbacks.
 * It begins with `state`: with one that was read elsewhere it goes on from there.
 */
export function createSSEClient(url: string, options: ResolvedClientOptions, { onMessage, onState }: SSEClientEvents, state = initialState(options.transports[0]!)): SSEClient {
  const { transports, reconnect, until } = options
  const prefersStream = transports[0] === 'stream'
  let current: AbortController | undefined
  /** Its attempt that is under way. */
  let ongoing: AbortController | undefined
  /** Ends listening to the page's events, which lasts from `connect()` until the end. */
  let page: AbortController | undefined
  /** Suspended because the page is away: it connects again when the page is back. */
  let asleep = false
  let retryMs: number | undefined
  let pollable = true
  /** A cache has answered: positions go where they make another url. */
  let pastCaches = false
  let mute = 0
  let fallback: Fallback | undefined
  let memory: PollMemory = {}
  const guard = createGuard(set)

  function set(change: Partial<SSEClientState>): void {
    state = { ...state, ...change }
    onState(change)
  }

  function begin(): void {
    end()
    const anew = { ...state, error: undefined, attempt: 0, ended: false }
    if (isUnwanted()) {
      asleep = true
      return set({ ...anew, status: 'idle' })
    }
    const life = current = new AbortController()
    set({ ...anew, status: 'connecting' })
    void live(life.signal)
  }

  function end(): void {
    current?.abort()
    current = ongoing = undefined
    asleep = false
  }

  function close(change: Partial<SSEClientState>): void {
    end()
    page?.abort()
    page = undefined
    set({ status: 'closed', ...change })
  }

  /** Lets go of the connection. `false` if there is none, or its request cannot be repeated. */
  function suspend(): boolean {
    if (!current || (ongoing && !isRepeatable(options, state))) return false
    end()
    set({ status: 'idle', error: undefined })
    return true
  }

  function isUnwanted(): boolean {
    return !!options.pauseWhenHidden && isHidden()
  }

  function onPage(event: PageEvent): void {
    if (event === 'sleep' || isUnwanted()) {
      asleep ||= suspend()
    }
    else if (event === 'offline') {
      // The attempt would wait on a dead network. Retried all the same, as `offline` may be wrong: a server on this machine still answers.
      if (!ongoing || !isRepeatable(options, state)) return
      ongoing.abort(passingError('NETWORK', 'The browser is off line'))
      set({ status: 'reconnecting' })
    }
    else if (asleep && event !== 'hidden') {
      // The first event that says so; the next ones find a connection.
      begin()
    }
  }

  /** A browser that is back online may be in another network: what was put off is tried at once. */
  async function wait(ms: number, signal: AbortSignal): Promise<void> {
    if (await delay(ms, signal, true) && memory.verdict) memory.verdict.probeAt = 0
  }

  /** What polling is made of. Throws a passing error if it cannot be loaded. */
  async function load(): Promise<Fallback> {
    return fallback ??= await options.loadFallback().catch((cause) => {
      throw passingError('NETWORK', 'A part of the client could not be loaded', cause)
    })
  }

  /** What delays are made of, for the server that this is. */
  function backoff(): Backoff {
    if (state.peer !== 'foreign') return { ...reconnect, retryMs }
    const baseMs = retryMs ?? reconnect.foreignDelayMs
    return { ...reconnect, minDelayMs: baseMs, retryMs: baseMs, baseMs }
  }

  async function live(life: AbortSignal): Promise<void> {
    while (!life.aborted) {
      const outcome = await attempt(life)
      if (life.aborted) return
      if (outcome.type === 'ended') return close({ ended: true, error: undefined })
      if (outcome.type === 'leave') {
        if (!isRepeatable(options, state)) return close({ error: interrupted() })
        // Not a failure: the server asked for it, and has jittered the delay.
        set({ status: 'reconnecting' })
        await delay(Math.min(outcome.retryMs ?? backoffDelay(backoff(), 1), MAX_ASKED_MS), life)
      }
      else if (outcome.type === 'again') {
        set({ transport: 'stream' })
      }
      else {
        const { error, refused, uncounted, unpollable } = outcome
        pastCaches ||= error.code === 'STALE_ANSWER'
        const again = refused || isRepeatable(options, state)
        if (unpollable && again && transports.includes('stream')) {
          pollable = false
          set({ transport: 'stream', ...(state.status === 'connected' && { status: 'reconnecting' }) })
          continue
        }
        if (!error.retry || !again) return close({ error: again || error.statusCode || error.code === 'CONNECT_TIMEOUT' ? revised(error, false) : interrupted(error) })
        const failures = state.attempt + (uncounted ? 0 : 1)
        if (failures >= reconnect.maxAttempts) {
          return close({ attempt: failures, error: clientError('GAVE_UP', `Gave up after ${failures} attempts: ${error.message}`, error, error.statusCode) })
        }
        mute = outcome.mute ? mute + 1 : 0
        memory.lost = state.transport === 'poll' && !uncounted && !error.statusCode
        if (mute && pollable && transports.includes('poll')) {
          // Before it is needed: it comes from the same network.
          load().catch(() => {})
          if (mute >= MUTE_ATTEMPTS) set({ transport: 'poll' })
        }
        else if (state.transport === 'poll' && !fallback && transports.includes('stream')) {
          set({ transport: 'stream' })
        }
        const delayMs = backoffDelay(backoff(), uncounted ? 1 : failures, outcome.retryAfterMs)
        set({ status: 'reconnecting', error: revised(error, true, Date.now() + delayMs), attempt: failures })
        await wait(delayMs, life)
        // No longer waiting: there is no `retryAt` any more.
        if (!life.aborted && state.error?.retryAt) set({ error: revised(error, true) })
      }
    }
  }

  async function attempt(life: AbortSignal): Promise<Outcome> {
    const own = ongoing = follow(life)
    const { signal } = own
    let outcome: Outcome
    try {
      outcome = state.transport === 'poll'
        ? await (await load()).pollUntilStream(own, { url, options, memory, state: () => state, prepare, events: eventsOf(signal) })
        : await streamTransport(await prepare(signal), eventsOf(signal, true))
    }
    catch (cause) {
      const error = cause instanceof SSEError ? cause : passingError('REQUEST_FAILED', 'An option threw', cause)
      outcome = { type: 'failed', error, refused: true }
    }
    own.abort()
    if (ongoing === own) ongoing = undefined
    // Aborted on this side, with an error as the reason.
    return signal.reason instanceof SSEError && outcome.type !== 'ended' ? { type: 'failed', error: signal.reason, uncounted: true } : outcome
  }

  function move(position: string): void {
    if (position !== (state.position ?? '')) set({ position: position || undefined })
  }

  function eventsOf(signal: AbortSignal, isStream?: boolean): TransportEvents {
    let good: ReturnType<typeof setTimeout> | undefined
    const isGood = () => {
      clearTimeout(good)
      if (state.attempt) set({ attempt: 0 })
    }
    signal.addEventListener('abort', () => clearTimeout(good))
    return {
      onOpen(silenceMs) {
        if (signal.aborted) return
        mute = 0
        if (isStream) {
          memory.verdict = undefined
          forgetVerdict(url)
        }
        if (state.status !== 'connected') set({ status: 'connected', error: undefined })
        // Each batch of a poll calls this, and must not put the success off. And `onState` may have ended this attempt.
        if ((good && !silenceMs) || signal.aborted) return
        clearTimeout(good)
        // A 200 that dies at once is no success: failures are counted on, and the delay grows on.
        good = setTimeout(isGood, Math.min(silenceMs || options.silenceTimeoutMs || GOOD_AFTER_MS, MAX_TIMER_MS))
      },
      onPeer(peer) {
        if (!signal.aborted && peer !== state.peer) set({ peer })
      },
      onMessage(message) {
        if (signal.aborted) return
        if (message.id !== undefined) {
          if (state.peer === 'resumable' && isUpTo(message.id, state.position)) throw staleAnswer()
          move(message.id)
        }
        isGood()
        const busy = onMessage(message)
        if (until && guard(() => until(message)) && !signal.aborted) close({ ended: true, error: undefined })
        return busy
      },
      onPosition(position) {
        if (!signal.aborted) move(position)
      },
      onGap(gap) {
        if (!signal.aborted) set({ gap, position: gap.position })
      },
      onRetry(ms) {
        if (!signal.aborted) retryMs = Math.min(ms, MAX_ASKED_MS)
      },
    }
  }

  function prepare(signal: AbortSignal): ReturnType<typeof prepareRequest> {
    return prepareRequest(url, options, () => state, signal, pastCaches)
  }

  return {
    get state() {
      return state
    },
    connect(to) {
      end()
      if (to !== undefined) {
        url = to
        pollable = true
        pastCaches = false
        retryMs = undefined
        memory = {}
        state = initialState(transports[0]!)
      }
      mute = 0
      memory.verdict ??= recallVerdict(url)
      if (memory.verdict && prefersStream && pollable && transports.includes('poll') && isRepeatable(options, state)) state = { ...state, transport: 'poll' }
      if (!page) watchPage((page = new AbortController()).signal, onPage)
      begin()
    },
    pause() {
      asleep = false
      suspend()
    },
    reset() {
      end()
      page?.abort()
      page = retryMs = undefined
      memory = {}
      pollable = true
      pastCaches = false
      onState(state = initialState(transports[0]!))
    },
    stop() {
      if (page) close({ error: undefined })
    },
    guard,
  }
}
