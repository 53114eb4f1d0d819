import { childController } from '../shared/abort'
import { SSEError } from '../shared/errors'
import type { SSEMessage, SSETransport } from '../shared/types'
import { attemptEvents } from './attempt-events'
import { MAX_ASKED_MS, backoffDelay, backoffFor } from './backoff'
import { createChecks } from './checks'
import { delay } from './delay'
import { createMemory } from './memory'
import type { ResolvedClientOptions } from './options'
import type { PageEvent } from './page-life'
import { isHidden, watchPage } from './page-life'
import { isRepeatable, prepareRequest } from './request'
import { clientError, interrupted, passingError, revised } from './response'
import { streamTransport } from './transports/stream'
import type { ClientHost, Outcome, SSEClient, SSEClientEvents, SSEClientState } from './types'
import { recallVerdict } from './verdict'

/** After this many attempts in a row in which nothing came, polling takes over. */
const MUTE_ATTEMPTS = 2
/** After this many failures in a row of a source that each connection runs again, it is asked no more. */
const MAX_FAILED_RUNS = 5
/** After this many requests in a row that nothing answered, something may redirect them. */
const GATE_ATTEMPTS = 2

export function initialState(transport: SSETransport): SSEClientState {
  return { status: 'idle', error: undefined, position: undefined, transport, attempt: 0, ended: false, gap: undefined }
}

/**
 * The state machine: connects, notices silence, reconnects, falls back to polling, resumes. Without a framework. Every state and input
 * is in `docs/contributing/client-states.md`.
 *
 * What runs between `connect()` and its end is one life, with one abort signal. Whatever belongs to an earlier life finds
 * its signal aborted, and nothing of it reaches the state or the callbacks.
 * It begins with `state`: with one that was read elsewhere it goes on from there.
 */
export function createSSEClient(url: string, options: ResolvedClientOptions, { onMessage, onState }: SSEClientEvents, state = initialState(options.transports[0]!)): SSEClient {
  const { transports, reconnect } = options
  const prefersStream = transports[0] === 'stream'
  let current: AbortController | undefined
  /** Its attempt that is under way. */
  let ongoing: AbortController | undefined
  /** Ends listening to the page's events, which lasts from `connect()` until the end. */
  let page: AbortController | undefined
  /** Suspended because the page is away: it connects again when the page is back. */
  let asleep = false
  const host: ClientHost = { url, options, memory: createMemory(), state: () => state, set, receive, close, guard, prepare }
  const checks = createChecks(host)

  function set(change: Partial<SSEClientState>): void {
    state = { ...state, ...change }
    onState(change)
  }

  function receive(message: SSEMessage, change: Partial<SSEClientState>): void | Promise<void> {
    state = { ...state, ...change }
    return onMessage(message, state.position)
  }

  function guard<T>(task: () => T): T | undefined {
    try {
      return task()
    }
    catch (cause) {
      console.error('[nuxt-sse]', cause)
      set({ error: clientError('CALLBACK_FAILED', 'A callback threw', cause) })
    }
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

  function forget(): void {
    host.memory = createMemory()
    state = initialState(transports[0]!)
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
    else if (event === 'wake' && ongoing) {
      checks.stream(ongoing)
    }
  }

  /** A browser that is back online may be in another network: what was put off is tried at once. */
  async function wait(ms: number, signal: AbortSignal): Promise<void> {
    const { verdict } = host.memory
    if (await delay(ms, signal, true) && verdict) verdict.probeAt = 0
  }

  async function live(life: AbortSignal): Promise<void> {
    const { memory } = host
    while (!life.aborted) {
      const outcome = await attempt(life)
      if (life.aborted) return
      if (outcome.type === 'ended') return close({ ended: true, error: undefined })
      if (outcome.type === 'leave') {
        if (!isRepeatable(options, state)) return close({ error: interrupted() })
        memory.failedRuns = 0
        // Not a failure: the server asked for it, and has jittered the delay.
        set({ status: 'reconnecting' })
        await delay(Math.min(outcome.retryMs ?? backoffDelay(backoffFor(reconnect, memory.retryMs, state.peer), 1), MAX_ASKED_MS), life)
      }
      else if (outcome.type === 'again') {
        set({ transport: state.transport === 'poll' ? 'stream' : 'poll' })
      }
      else {
        const { error, refused, uncounted, ofSource, unanswered } = outcome
        memory.pastCaches ||= error.code === 'STALE_ANSWER'
        const again = refused || isRepeatable(options, state)
        if (!error.retry || !again) return close({ error: again || error.statusCode || error.code === 'CONNECT_TIMEOUT' ? revised(error, false) : interrupted(error) })
        if (ofSource && memory.restarts) memory.failedRuns++
        // Messages reset the first count, and not the second: a new run repeats them.
        const failures = Math.max(state.attempt + (uncounted ? 0 : 1), memory.failedRuns)
        if (failures >= reconnect.maxAttempts || memory.failedRuns >= MAX_FAILED_RUNS) {
          return close({ attempt: failures, error: clientError('GAVE_UP', `Gave up after ${failures} attempts: ${error.message}`, error, error.statusCode) })
        }
        if (unanswered && globalThis.navigator?.onLine !== false && ++memory.unanswered === GATE_ATTEMPTS) checks.gate(life)
        memory.mute = outcome.mute ? memory.mute + 1 : 0
        if (memory.mute && !memory.unpollable && transports.includes('poll')) {
          // Before it is needed: it comes from the same network.
          checks.load().catch(() => {})
          if (memory.mute >= MUTE_ATTEMPTS) set({ transport: 'poll' })
        }
        else if (state.transport === 'poll' && !checks.loaded && transports.includes('stream')) {
          set({ transport: 'stream' })
        }
        const delayMs = backoffDelay(backoffFor(reconnect, memory.retryMs, state.peer), uncounted ? 1 : failures, outcome.retryAfterMs)
        set({ status: 'reconnecting', error: revised(error, true, Date.now() + delayMs), attempt: failures })
        await wait(delayMs, life)
        // No longer waiting: there is no `retryAt` any more.
        if (!life.aborted && state.error?.retryAt) set({ error: revised(error, true) })
      }
    }
  }

  async function attempt(life: AbortSignal): Promise<Outcome> {
    const own = ongoing = childController(life)
    const { signal } = own
    let outcome: Outcome
    try {
      const isStream = state.transport === 'stream'
      const events = attemptEvents(signal, isStream, host)
      if (isStream) {
        const request = await prepare(signal)
        if (!host.memory.streamed) void checks.network(request, own)
        outcome = await streamTransport(request, events)
      }
      else {
        outcome = await (await checks.load()).pollUntilStream(own, host, events)
      }
    }
    catch (cause) {
      const error = cause instanceof SSEError ? cause : passingError('REQUEST_FAILED', 'An option threw', cause)
      outcome = { type: 'failed', error, refused: true }
    }
    own.abort()
    if (ongoing === own) ongoing = undefined
    // Aborted on this side, with an error as the reason.
    const error: unknown = signal.reason
    if (!(error instanceof SSEError) || outcome.type === 'ended') return outcome
    if (error.code === 'SILENCE') return { type: 'leave', retryMs: 0 }
    return error.code === 'CONNECT_TIMEOUT' ? { type: 'again' } : { type: 'failed', error, uncounted: true }
  }

  function prepare(signal: AbortSignal): ReturnType<typeof prepareRequest> {
    return prepareRequest(host.url, options, host.state, signal, host.memory.pastCaches)
  }

  return {
    get state() {
      return state
    },
    connect(to) {
      end()
      if (to !== undefined) {
        host.url = to
        forget()
      }
      const { memory } = host
      memory.mute = memory.failedRuns = 0
      memory.verdict ??= recallVerdict(host.url)
      if (memory.verdict && prefersStream && !memory.unpollable && transports.includes('poll') && isRepeatable(options, state)) state = { ...state, transport: 'poll' }
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
      page = undefined
      forget()
      onState(state)
    },
    stop() {
      if (page) close({ error: undefined })
    },
    guard,
  }
}
