import { SSEError } from '../shared/errors'
import type { SSEErrorCode, SSEErrorOptions } from '../shared/errors'
import { POLL_CONTENT_TYPE, PROTOCOL_HEADER, PROTOCOL_VERSION, STREAM_CONTENT_TYPE } from '../shared/protocol'
import type { SSEControl, SSEGapReason } from '../shared/protocol'
import { check, flag, overlay, whole } from '../shared/rules'
import type { SSETransport } from '../shared/types'
import { intercept } from './intercept'
import { createMockedLog } from './mocked-log'
import { openMockedStream } from './mocked-stream'
import type { MockedReader } from './mocked-stream'

/** Wait of a poll that names none, in milliseconds. */
const DEFAULT_WAIT_MS = 20_000
const MARK = { [PROTOCOL_HEADER]: PROTOCOL_VERSION, 'cache-control': 'no-store' }

export interface MockSSEOptions {
  /**
   * Whether a reconnect continues where it was, as on a route that returns a channel or has `resumable: true`. With `false` there are no positions, and each
   * connection receives everything from the beginning, as on a route that returns a generator.
   * @default true
   */
  resumable?: boolean
}

/** Request that a mock received. */
export interface MockedRequest {
  url: string
  method: string
  headers: Headers
  /** Body as `fetch` received it: the JSON text of an object. */
  body: unknown
  /** Requested position, if any. */
  position?: string
  transport: SSETransport
}

/** Scripted source: what a server would do, step by step. Requests are answered at once, unless {@link slow} delays them. */
export interface SSEMock<T = unknown> {
  /** Sends a message to the open connections. A client that connects later receives it too. */
  message(data: T, options?: { event?: string }): void
  /** Reports messages that the client has missed permanently. */
  gap(gap?: { reason?: SSEGapReason, missed?: number | null }): void
  /** Completes the source: clients do not reconnect. */
  end(): void
  /**
   * The source fails, with an error as a handler may throw it. With `retry: true`, clients reconnect, and the source continues. Defaults: `statusCode` 500,
   * `retry` `false`.
   */
  error(code?: SSEErrorCode, message?: string, options?: Pick<SSEErrorOptions, 'statusCode' | 'retry'>): void
  /** Breaks the open connections, as a lost network does. Clients reconnect. */
  drop(): void
  /** From now on, requests wait so many milliseconds for their answer, or, with `Infinity`, until {@link open}. */
  slow(delayMs: number): void
  /** From now on, requests are refused with this status, as by a check before the stream. */
  refuse(statusCode: number, message?: string, code?: SSEErrorCode): void
  /** Answers requests at once again, also those that wait. Undoes {@link slow} and {@link refuse}. */
  open(): void
  /** Requests so far, polls included. */
  readonly requests: readonly MockedRequest[]
  /** Number of open connections, waiting requests included. */
  readonly connections: number
  /** Answers a request: for the option `fetch` of `useSSE` and `openSSE`, and for handlers of MSW. */
  fetch: typeof globalThis.fetch
  /** Breaks all connections, and ends the interception of requests. */
  restore(): void
}

/** Wait for a time, which can end early. */
interface Wait {
  over: Promise<void>
  end(): void
}

/** Request without an answer yet. */
interface Waiting extends MockedReader {
  wait?: Wait
}

/**
 * Mocks a route, for tests of components that call `useSSE`: without a server, and in your test's own process.
 *
 * ```ts
 * const notices = mockSSE<Notice>('/api/notices')
 * notices.message({ title: 'Hello' })
 * notices.drop()
 * notices.restore()
 * ```
 *
 * @param url path of the route, with any origin and query, such as `/api/notices`; an absolute URL, with any query; or a pattern for the whole URL. Requests of the
 * global `fetch` for it are answered by the mock, until `restore()`. Without one, nothing is intercepted: pass `fetch` on.
 * @throws `INVALID_OPTION`. `message` throws `INVALID_DATA` for data that JSON cannot hold.
 */
export function mockSSE<T = unknown>(url?: string | RegExp, options: MockSSEOptions = {}): SSEMock<T> {
  const { resumable } = overlay(options, { resumable: true }, { resumable: flag })
  const log = createMockedLog(resumable)
  const requests: MockedRequest[] = []
  const readers = new Set<MockedReader>()
  let delayMs = 0
  let refusal: SSEError | undefined
  /** Of requests that are answered at once after `open()`. */
  const delays = new Set<Wait>()

  const flush = () => {
    for (const reader of [...readers]) reader.flush()
  }
  const over = (control: SSEControl) => {
    log.over = control
    flush()
  }

  function assertOpen(): void {
    if (log.over) throw new SSEError('CHANNEL_ENDED', 'The mocked source is over. Make another for the next test.')
  }

  async function delay(request: Waiting): Promise<void> {
    if (!delayMs) return
    const wait = request.wait = startWait(delayMs)
    delays.add(wait)
    await wait.over
    delays.delete(wait)
  }

  async function answer(input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
    const request = typeof input === 'object' && 'method' in input ? input : undefined
    const address = request?.url ?? String(input)
    const { searchParams } = new URL(address, 'http://localhost')
    const headers = copyHeaders(init.headers ?? request?.headers ?? {})
    const signal = init.signal ?? request?.signal ?? undefined
    const position = headers.get('last-event-id') ?? searchParams.get('position') ?? undefined
    const transport = searchParams.get('transport') === 'poll' ? 'poll' : 'stream'
    requests.push({ url: address, method: init.method ?? request?.method ?? 'GET', headers, body: init.body ?? undefined, position, transport })

    const { promise: broken, reject } = Promise.withResolvers<never>()
    const pending: Waiting = {
      flush() {},
      break(reason) {
        reject(reason)
        pending.wait?.end()
      },
    }
    const abort = () => pending.break(signal!.reason)
    broken.catch(() => {})
    signal?.throwIfAborted()
    signal?.addEventListener('abort', abort)
    readers.add(pending)
    try {
      await Promise.race([delay(pending), broken])
      if (refusal) return refuse(refusal)
      if (transport === 'stream') return stream(position, signal)
      if (!resumable) return refuse(new SSEError('NOT_POLLABLE', 'This source cannot be polled.', { statusCode: 406 }))
      return await Promise.race([poll(position, Number(searchParams.get('waitMs') ?? DEFAULT_WAIT_MS), pending), broken])
    }
    finally {
      readers.delete(pending)
      signal?.removeEventListener('abort', abort)
    }
  }

  function stream(position: string | undefined, signal: AbortSignal | undefined): Response {
    const begin = log.locate(position)
    if (begin.resumed && begin.index === log.length && log.over?.type === 'end') return new Response(null, { status: 204, headers: MARK })
    return new Response(openMockedStream(log, begin, readers, signal), { headers: { ...MARK, 'content-type': STREAM_CONTENT_TYPE } })
  }

  async function poll(position: string | undefined, waitMs: number, request: Waiting): Promise<Response> {
    const begin = log.locate(position)
    if (begin.index === log.length && !begin.gap && !log.over && waitMs > 0) {
      request.wait = startWait(waitMs)
      request.flush = request.wait.end
      await request.wait.over
    }
    return Response.json(log.batch(begin), { headers: { ...MARK, 'content-type': POLL_CONTENT_TYPE } })
  }

  function open(): void {
    delayMs = 0
    refusal = undefined
    for (const wait of delays) wait.end()
  }

  const fetch = answer as typeof globalThis.fetch
  const stopIntercepting = url === undefined ? () => {} : intercept(url, fetch)
  const drop = () => {
    for (const reader of [...readers]) reader.break(new TypeError('Failed to fetch'))
  }

  return {
    message(data, { event } = {}) {
      assertOpen()
      log.message(data, event)
      flush()
    },
    gap({ reason = 'trimmed', missed = null } = {}) {
      assertOpen()
      log.gap(reason, missed)
      flush()
    },
    end() {
      assertOpen()
      over({ type: 'end' })
    },
    error(code = 'SOURCE_FAILED', message = 'The source failed.', { statusCode = 500, retry = false } = {}) {
      assertOpen()
      over({ type: 'error', code, message, statusCode, retry })
      if (retry) log.over = undefined
    },
    drop,
    slow(ms) {
      if (ms !== Infinity) check('delayMs', ms, whole({ of: 'milliseconds', from: 0 }))
      delayMs = ms
    },
    refuse(statusCode, message = 'Refused.', code = 'HTTP_ERROR') {
      check('statusCode', statusCode, whole({ from: 400, to: 599 }))
      refusal = new SSEError(code, message, { statusCode })
    },
    open,
    requests,
    get connections() {
      return readers.size
    },
    fetch,
    restore() {
      stopIntercepting()
      drop()
    },
  }
}

function startWait(ms: number): Wait {
  const { promise: over, resolve } = Promise.withResolvers<void>()
  const timer = ms === Infinity ? undefined : setTimeout(resolve, ms)
  return {
    over,
    end() {
      clearTimeout(timer)
      resolve()
    },
  }
}

/** As h3 answers with an error that a handler threw. */
function refuse({ statusCode, message, code, retry }: SSEError): Response {
  return Response.json({ error: true, statusCode, message, data: { code, retry } }, { status: statusCode, headers: MARK })
}

/** Copies headers entry by entry: a DOM environment has a class of its own, which loses those of Node. */
function copyHeaders(init: HeadersInit): Headers {
  return new Headers(Symbol.iterator in init ? [...init as Iterable<[string, string]>] : init)
}
