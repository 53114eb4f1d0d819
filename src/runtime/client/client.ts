import { SSEError } from '../shared/errors'
import type { SSEMessage, SSETransport } from '../shared/types'
import { backoffDelay } from './backoff'
import { delay } from './delay'
import type { ResolvedClientOptions } from './options'
import { networkError } from './response'
import { pollTransport } from './transports/poll'
import { streamTransport } from './transports/stream'
import type { MaybeFresh, Outcome, SSEClientState, TransportEvents, TransportRequest } from './types'
import { addQuery } from './url'

/** Attempts in a row in which nothing came before polling takes over. */
const MUTE_ATTEMPTS = 2
/** While polling, the stream is tried again after this long, then after twice as long, up to the maximum. */
const PROBE_MIN_MS = 60_000
const PROBE_MAX_MS = 900_000
/** How long a connection must hold to count as a good one when it announces no heartbeats. */
const GOOD_AFTER_MS = 37_500

export interface SSEClientEvents {
  /** Each message once, in order. Reading goes on when the promise is resolved. */
  onMessage(message: SSEMessage): void | Promise<void>
  /** After every change, with what has changed. */
  onState(change: Partial<SSEClientState>): void
}

export function initialState(transport: SSETransport): SSEClientState {
  return { status: 'idle', error: undefined, position: undefined, transport, attempt: 0, ended: false, gap: undefined }
}

/**
 * The state machine: connects, notices silence, reconnects, falls back to polling, resumes. Without a framework.
 *
 * What runs between `connect()` and the end is one life, with one abort signal. Whatever belongs to an earlier life finds
 * its signal aborted, and nothing of it reaches the state or the callbacks.
 */
export class SSEClient {
  state: SSEClientState
  #life?: AbortController
  #retryMs?: number
  #pollable = true

  constructor(private url: string, private readonly options: ResolvedClientOptions, private readonly events: SSEClientEvents) {
    this.state = initialState(options.transports[0]!)
  }

  /** Goes on from the position; with a `url`, begins anew there. A connection or a wait that is under way is given up. */
  connect(url?: string): void {
    this.#life?.abort()
    if (url !== undefined) {
      this.url = url
      this.#pollable = true
      this.#set({ ...initialState(this.options.transports[0]!) })
    }
    this.#life = new AbortController()
    this.#set({ status: 'connecting', error: undefined, attempt: 0, ended: false })
    void this.#live(this.#life.signal)
  }

  stop(): void {
    this.#life?.abort()
    if (this.#life) this.#set({ status: 'closed' })
    this.#life = undefined
  }

  async #live(life: AbortSignal): Promise<void> {
    let mute = 0
    while (true) {
      const outcome = await this.#attempt(life)
      if (life.aborted) return
      switch (outcome.type) {
        case 'ended':
          return this.#set({ status: 'closed', ended: true, error: undefined })
        case 'leave':
        case 'pending':
          // Neither is a failure: the server asked for it. A leave was jittered by the server, a Retry-After was not.
          this.#set({ status: this.#statusWhileWaiting })
          await delay(outcome.type === 'leave' ? outcome.retryMs : outcome.retryMs + this.#delay(1), life, outcome.type === 'pending')
          break
        case 'unpollable':
          this.#pollable = false
          if (this.state.transport !== 'poll' || !this.options.transports.includes('stream')) return this.#fail(outcome.error)
          this.#set({ transport: 'stream' })
          break
        case 'failed': {
          const { error, retryAfterMs, refused } = outcome
          if (!error.retry) return this.#fail(error)
          // Nobody knows how much of it was done: what is not safe is not repeated.
          if (this.options.method !== 'GET' && this.state.position === undefined && !refused) {
            return this.#fail(error.code === 'NETWORK' || error.code === 'SILENCE' ? networkError('INTERRUPTED', 'The connection was lost, and the request cannot be repeated safely.', error, { retry: false }) : error)
          }
          const attempt = this.state.attempt + 1
          if (attempt >= this.options.reconnect.maxAttempts) {
            this.#set({ attempt })
            return this.#fail(new SSEError('GAVE_UP', `Gave up after ${attempt} attempts.`, { statusCode: error.statusCode, retry: false, cause: error }))
          }
          mute = outcome.mute ? mute + 1 : 0
          if (mute >= MUTE_ATTEMPTS && this.#canPoll) this.#set({ transport: 'poll' })
          this.#set({ status: this.#statusWhileWaiting, error, attempt })
          await delay(this.#delay(attempt, retryAfterMs), life, true)
        }
      }
      if (life.aborted) return
    }
  }

  get #statusWhileWaiting(): 'connecting' | 'reconnecting' {
    return 'reconnecting'
  }

  get #canPoll(): boolean {
    return this.#pollable && this.options.transports.includes('poll')
  }

  /** One stream, or polling for as long as it goes well. */
  async #attempt(life: AbortSignal): Promise<Outcome> {
    const polling = this.state.transport === 'poll'
    // The attempt's own end: the stream may take over from a poll that is going well.
    const own = new AbortController()
    const onLifeEnd = () => own.abort()
    life.addEventListener('abort', onLifeEnd)
    let request: TransportRequest
    try {
      request = await this.#request(own.signal)
    }
    catch (cause) {
      return { type: 'failed', error: networkError('REQUEST_FAILED', 'The request could not be made: a function of its options threw.', cause), refused: true }
    }
    if (life.aborted) return { type: 'ended' }
    const events = this.#eventsOf(own.signal)
    try {
      if (!polling) return await streamTransport(request, events)
      const probe = this.options.transports.includes('stream') && this.options.transports[0] === 'stream' ? this.#probe(own.signal) : undefined
      const polled = pollTransport(request, events)
      // A probe that succeeded aborts the poll, which then settles before the stream begins: one of the two is live.
      const switched = await Promise.race([polled.then(() => false), probe ?? new Promise<never>(() => {})])
      if (!switched) return await polled
      own.abort()
      await polled
      if (!life.aborted) this.#set({ transport: 'stream' })
      return { type: 'leave', retryMs: 0 }
    }
    finally {
      own.abort()
      life.removeEventListener('abort', onLifeEnd)
    }
  }

  /** Resolves with `true` when an event stream gives its first bytes. Delivers nothing: the stream begins anew then. */
  async #probe(signal: AbortSignal): Promise<boolean> {
    for (let wait = PROBE_MIN_MS; ; wait = Math.min(wait * 2, PROBE_MAX_MS)) {
      await delay(wait, signal, true)
      if (signal.aborted) return false
      const own = new AbortController()
      const stop = () => own.abort()
      signal.addEventListener('abort', stop)
      let alive = false
      const none = () => {}
      const first = () => {
        alive = true
        own.abort()
      }
      await streamTransport(await this.#request(own.signal), { onOpen: first, onMessage: none, onPosition: none, onGap: none, onRetry: none })
      signal.removeEventListener('abort', stop)
      if (alive || signal.aborted) return alive && !signal.aborted
    }
  }

  #eventsOf(signal: AbortSignal): TransportEvents {
    let good: ReturnType<typeof setTimeout> | undefined
    const isGood = () => {
      clearTimeout(good)
      if (this.state.attempt) this.#set({ attempt: 0 })
    }
    signal.addEventListener('abort', () => clearTimeout(good))
    return {
      onOpen: (heartbeatMs) => {
        if (signal.aborted) return
        this.#set({ status: 'connected', error: undefined })
        clearTimeout(good)
        // A 200 that dies at once is no success: the count goes on, and so does the delay.
        good = setTimeout(isGood, this.options.silenceTimeoutMs || (heartbeatMs ? heartbeatMs * 2.5 : GOOD_AFTER_MS))
      },
      onMessage: (message) => {
        if (signal.aborted) return
        isGood()
        const busy = this.events.onMessage(message)
        if (this.options.until?.(message)) {
          this.stop()
          this.#set({ ended: true })
        }
        return busy
      },
      onPosition: position => !signal.aborted && position !== (this.state.position ?? '') && this.#set({ position: position || undefined }),
      onGap: gap => !signal.aborted && this.#set({ gap, position: gap.position }),
      onRetry: retryMs => void (this.#retryMs = retryMs),
    }
  }

  async #request(signal: AbortSignal): Promise<TransportRequest> {
    const { options } = this
    const [query, headers, body] = await Promise.all([fresh(options.query), fresh(options.headers), fresh(options.body)])
    const init: RequestInit = { method: options.method, headers: new Headers(headers), credentials: options.credentials, cache: 'no-store' }
    if (body !== undefined && body !== null) {
      const json = Array.isArray(body) || Object.getPrototypeOf(body) === Object.prototype
      init.body = (json ? JSON.stringify(body) : body) as BodyInit
      if (json) (init.headers as Headers).set('content-type', 'application/json')
    }
    const { position } = this.state
    return {
      // Until there is a position of the server's own, the one that was asked for: a query, as it may be a number.
      url: addQuery(this.url, { ...query, position: position === undefined ? options.position : undefined }),
      init,
      position,
      connectTimeoutMs: options.connectTimeoutMs,
      silenceTimeoutMs: options.silenceTimeoutMs,
      signal,
    }
  }

  #delay(failures: number, floorMs?: number): number {
    const { minDelayMs, maxDelayMs } = this.options.reconnect
    return backoffDelay({ minDelayMs, maxDelayMs, retryMs: this.#retryMs }, failures, floorMs)
  }

  #fail(error: SSEError): void {
    this.#set({ status: 'closed', error })
  }

  #set(change: Partial<SSEClientState>): void {
    this.state = { ...this.state, ...change }
    this.events.onState(change)
  }
}

function fresh<T>(value: MaybeFresh<T> | undefined): T | Promise<T> | undefined {
  return typeof value === 'function' ? (value as () => T | Promise<T>)() : value
}
