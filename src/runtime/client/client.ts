import { childController } from '../shared/abort'
import { SSEError } from '../shared/errors'
import type { SSEMessage, SSETransport } from '../shared/types'
import { attemptEvents } from './attempt-events'
import { MAX_SERVER_DELAY_MS, backoffDelay, backoffFor } from './backoff'
import { createChecks } from './checks'
import { delay } from './delay'
import { createMemory } from './memory'
import type { ResolvedClientOptions, ClientHost, Outcome } from './host'
import type { PageEvent } from './page-life'
import { isHidden, watchPage } from './page-life'
import { isRepeatable, prepareRequest } from './request'
import { clientError, interrupted, retryableError, revised } from './response'
import { streamTransport } from './transports/stream'
import type { SSEClient, SSEClientEvents, SSEClientState } from './types'
import { recallVerdict } from './verdict'

/** Silent attempts in a row after which polling takes over. */
const SILENT_ATTEMPTS = 2
/** Failures in a row of a source that restarts on each connection, after which the client gives up. */
const MAX_FAILED_RUNS = 5
/** Unanswered requests in a row after which the client checks for a redirect. */
const GATE_ATTEMPTS = 2

export function initialState(transport: SSETransport): SSEClientState {
  return { status: 'idle', error: undefined, position: undefined, transport, attempt: 0, ended: false, gap: undefined }
}

/**
 * State machine of a client: connects, detects silence, reconnects, falls back to polling, resumes. It depends on no framework.
 * `docs/contributing/client-states.md` lists every state and input.
 *
 * A session lasts from `connect()` until the connection ends, and has one abort signal. Code of an earlier session finds its signal aborted,
 * and changes neither the state nor calls a callback. `state` is the initial state: with a position, the client resumes from it.
 */
export function createSSEClient(url: string, options: ResolvedClientOptions, { onMessage, onState, onLoad }: SSEClientEvents, state = initialState(options.transports[0]!)): SSEClient {
  const { transports, reconnect } = options
  const prefersStream = transports[0] === 'stream'
  let current: AbortController | undefined
  /** The session's attempt that is in flight. */
  let ongoing: AbortController | undefined
  /** Stops listening to page events. Set from `connect()` until the client closes. */
  let page: AbortController | undefined
  /** Suspended because the page is hidden or frozen. The client reconnects when the page wakes. */
  let asleep = false
  const host: ClientHost = { url, options, memory: createMemory(), state: () => state, set, merge, receive, onLoad, close, prepare }
  const checks = createChecks(host)

  function merge(change: Partial<SSEClientState>): void {
    state = { ...state, ...change }
  }

  function set(change: Partial<SSEClientState>): void {
    merge(change)
    onState(change)
  }

  function receive(message: SSEMessage, change: Partial<SSEClientState>): void | Promise<void> {
    merge(change)
    return onMessage(message, change)
  }

  function begin(): void {
    end()
    const restart = { ...state, error: undefined, attempt: 0, ended: false }
    if (isUnwanted()) {
      asleep = true
      return set({ ...restart, status: 'idle' })
    }
    const session = current = new AbortController()
    set({ ...restart, status: 'connecting' })
    void run(session.signal)
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

  /** Ends the connection, with `idle`. `false` if there is none, or if its request cannot be repeated. */
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
      // The attempt would wait on a dead network. It is retried all the same, since `offline` can be wrong: a server on this machine still
      // answers.
      if (!ongoing || !isRepeatable(options, state)) return
      ongoing.abort(retryableError('NETWORK', 'The browser is offline'))
      set({ status: 'reconnecting' })
    }
    else if (asleep && event !== 'hidden') {
      // Only the first of several wake events: the next ones find a connection.
      begin()
    }
    else if (event === 'wake' && ongoing && state.peer === 'resumable') {
      const [attempt, now] = [ongoing, Date.now()]
      // Users look at a page when they return to it, so this does not wait for heartbeats.
      checks.run(({ checkStream }) => checkStream(attempt, now, host))
    }
  }

  /** Waits for the back-off. A browser that is online again may be in another network, so the stream is probed at once. */
  async function wait(ms: number, signal: AbortSignal): Promise<void> {
    const { verdict } = host.memory
    if (await delay(ms, signal, true) && verdict) verdict.probeAt = 0
  }

  async function run(session: AbortSignal): Promise<void> {
    const { memory } = host
    while (!session.aborted) {
      const outcome = await attempt(session)
      if (session.aborted) return
      if (outcome.type === 'ended') return close({ ended: true, error: outcome.error })
      if (outcome.type === 'loaded') continue
      if (outcome.type === 'leave') {
        if (!isRepeatable(options, state)) return close({ error: interrupted() })
        memory.failedRuns = 0
        // Not a failure: the server requested it, and has jittered the delay.
        set({ status: 'reconnecting' })
        await delay(Math.min(outcome.retryMs ?? backoffDelay(backoffFor(reconnect, memory.retryMs, state.peer), 1), MAX_SERVER_DELAY_MS), session)
      }
      else if (outcome.type === 'switch') {
        set({ transport: state.transport === 'poll' ? 'stream' : 'poll' })
      }
      else {
        const { error, refused, uncounted, ofSource, unanswered } = outcome
        // The server itself gave this position. Since then the route has changed, such as from several channels to one.
        if (error.code === 'INVALID_POSITION' && state.position !== undefined) {
          memory.loaded = false
          // Right after a load, that load itself returns positions of another route.
          if (!memory.unfollowed) {
            set({ position: undefined, gap: { reason: 'invalid', missed: null }, ...options.loadState && { status: 'reconnecting' } })
            continue
          }
        }
        memory.skipCaches ||= error.code === 'STALE_ANSWER'
        const repeatable = refused || isRepeatable(options, state)
        if (!error.retry || !repeatable) return close({ error: repeatable || error.statusCode || error.code === 'CONNECT_TIMEOUT' ? revised(error, false) : interrupted(error) })
        if (ofSource && memory.restarts) memory.failedRuns++
        // Messages reset `attempt` but not `failedRuns`: each run of the source sends them again.
        const failures = Math.max(state.attempt + (uncounted ? 0 : 1), memory.failedRuns)
        if (failures >= reconnect.maxAttempts || memory.failedRuns >= MAX_FAILED_RUNS) {
          return close({ attempt: failures, error: clientError('GAVE_UP', `Gave up after ${failures} attempts: ${error.message}`, error, error.statusCode) })
        }
        if (unanswered && globalThis.navigator?.onLine !== false && ++memory.unanswered === GATE_ATTEMPTS) checks.run(({ findGate }) => findGate(session, host))
        memory.silent = outcome.silent ? memory.silent + 1 : 0
        if (memory.silent && !memory.unpollable && transports.includes('poll')) {
          // Loaded before it is needed: it comes over the same network.
          checks.run(() => {})
          if (memory.silent >= SILENT_ATTEMPTS) set({ transport: 'poll' })
        }
        else if (state.transport === 'poll' && !checks.loaded && error.code === 'NETWORK' && transports.includes('stream')) {
          set({ transport: 'stream' })
        }
        const delayMs = backoffDelay(backoffFor(reconnect, memory.retryMs, state.peer), uncounted ? 1 : failures, outcome.retryAfterMs)
        set({ status: 'reconnecting', error: revised(error, true, Date.now() + delayMs), attempt: failures })
        await wait(delayMs, session)
        // The wait is over, so the error loses its `retryAt`.
        if (!session.aborted && state.error?.retryAt) set({ error: revised(error, true) })
      }
    }
  }

  async function attempt(session: AbortSignal): Promise<Outcome> {
    const own = childController(session)
    const { signal } = own
    const isStream = state.transport === 'stream'
    let outcome: Outcome
    try {
      const events = attemptEvents(signal, isStream, host)
      // Not `ongoing`: a load may be cut and repeated, whatever the method of the stream's request.
      const early = options.loadState && await options.loadState(host, session, signal, events)
      ongoing = own
      if (early) {
        outcome = early
      }
      else if (isStream) {
        const request = await prepare(signal)
        if (!host.memory.streamed) void checks.network(request, own)
        outcome = await streamTransport(request, events)
      }
      else {
        outcome = await (await checks.load()).pollUntilStream(own, host, events)
      }
    }
    catch (cause) {
      const error = cause instanceof SSEError ? cause : retryableError('REQUEST_FAILED', 'An option threw', cause)
      outcome = { type: 'failed', error, refused: true }
    }
    own.abort()
    if (ongoing === own) ongoing = undefined
    // The client itself aborted the attempt, with an error as the reason.
    const error: unknown = signal.reason
    if (!(error instanceof SSEError) || outcome.type === 'ended') return outcome
    if (error.code === 'SILENCE') return { type: 'leave', retryMs: 0 }
    return error.code === 'CONNECT_TIMEOUT' ? { type: 'switch' } : { type: 'failed', error, uncounted: true }
  }

  function prepare(signal: AbortSignal): ReturnType<typeof prepareRequest> {
    return prepareRequest(host.url, options, host.state, signal, host.memory.skipCaches)
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
      memory.silent = memory.failedRuns = 0
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
  }
}
