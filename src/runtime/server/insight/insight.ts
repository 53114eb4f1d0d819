import type { H3Event } from 'h3'
import { SSEError } from '../../shared/errors'
import type { SSEGap, SSEGapReason } from '../../shared/protocol'
import { isRun, publicChannelName, publicId, withoutSecret } from '../../shared/secret-epoch'
import type { SSETransport } from '../../shared/types'
import { isOurMistake } from '../wire/public-error'
import type { HookCaller, SSEEndReason, SSEErrorPlace, SSEHooks, SSEOpened } from './hooks'
import { byteLength } from '../wire/encode'
import { since, traces } from './traces'

/** Record of an open stream for its `sse:close`. Created only if a hook listens, since it holds the request. */
export interface StreamRecord {
  readonly opened: SSEOpened
  readonly at: number
}

/** Messages and bytes sent on a connection, or on all closed ones. */
export interface Sent {
  messages: number
  bytes: number
}

/** Names a request for hooks and logs. The framework determines how: the server passes it in. */
export interface DescribeRequest {
  describe(event: H3Event): { path: string, route?: string }
  subject(event: H3Event): string
}

/** Maximum number of codes with a counter of their own. Applications may create any number of codes, and each counter is kept forever. */
const MAX_CODES = 64

/**
 * Counts events of one process, and calls hooks. Open streams are counted where they are kept. Each connection counts its messages and
 * bytes, which are added here when it closes: a message costs its reader two additions and nothing else.
 */
export class Insight {
  hooks?: HookCaller
  connectionsTotal = 0
  /** Polls in flight. */
  polls = 0
  pollsTotal = 0
  published = 0
  /** Messages and bytes sent on closed connections. */
  readonly sent: Sent = { messages: 0, bytes: 0 }
  readonly closed: Record<SSEEndReason, number> = { end: 0, error: 0, leave: 0, disconnect: 0 }
  readonly gaps: Record<SSEGapReason, number> = { trimmed: 0, epoch: 0, invalid: 0 }
  readonly refused = new Map<string, number>()
  readonly publishErrors = new Map<string, number>()

  /** Arrival of requests, for their traces. */
  readonly #arrivals = new WeakMap<H3Event, number>()

  /** `report` must not call back into this object: a hook that fails would receive its own failure. */
  constructor(private readonly report: (error: unknown, subject?: string) => void, private readonly requests?: DescribeRequest) {}

  /** Notes the arrival of a request, if its opening or its refusal is traced. */
  onRequest(event: H3Event): void {
    const begun = traces.open.begin() ?? traces.refuse.begin()
    if (begun !== undefined) this.#arrivals.set(event, begun)
  }

  /** Counts an opened stream. Pass the result to {@link onClose}. */
  onOpen(event: H3Event | undefined, start: { channel?: string | Record<string, string>, position?: string, resumed?: boolean }): StreamRecord | undefined {
    this.connectionsTotal++
    const { hooks } = this
    const isHooked = hooks !== undefined && (hooks.isHeard('sse:open') || hooks.isHeard('sse:close'))
    if (!event || !(isHooked || traces.open.isHeard)) return undefined
    const { channel, position, resumed = false } = start
    const opened = { event, path: '', ...this.requests?.describe(event), ...describeSource(channel, position), resumed }
    if (traces.open.isHeard) traces.open.publish({ ...opened, durationMs: since(this.#arrivals.get(event)) })
    if (!isHooked) return undefined
    this.#call('sse:open', opened)
    return { opened, at: performance.now() }
  }

  /** Whether a hook may still be called for an open stream, which must then keep the context of its request. */
  get followsStreams(): boolean {
    const { hooks } = this
    return hooks !== undefined && (hooks.isHeard('sse:close') || hooks.isHeard('sse:gap') || hooks.isHeard('sse:error'))
  }

  onClose(record: StreamRecord | undefined, { messages, bytes }: Sent, reason: SSEEndReason, code: string | undefined): void {
    this.closed[reason]++
    this.sent.messages += messages
    this.sent.bytes += bytes
    if (record) this.#call('sse:close', { ...record.opened, reason, code, durationMs: Math.round(performance.now() - record.at), messages, bytes })
  }

  /** Counts a poll that begins. Call the returned function when the poll is over. */
  onPoll(): () => void {
    this.polls++
    this.pollsTotal++
    return () => void this.polls--
  }

  /** Counts a published message. `data` is the message's JSON, or its size in bytes; `begun` is the beginning of its trace. */
  onPublish(channel: string, id: string, event: string | undefined, data: string | number, begun?: number): void {
    this.published++
    const isHooked = this.hooks?.isHeard('sse:publish')
    if (!isHooked && !traces.publish.isHeard) return
    const published = { channel: publicChannelName(channel), id: publicId(channel, id), event, bytes: typeof data === 'number' ? data : byteLength(data) }
    if (traces.publish.isHeard) traces.publish.publish({ ...published, durationMs: since(begun) })
    if (isHooked) this.#call('sse:publish', published)
  }

  onPublishError(channel: string, error: unknown, begun?: number): void {
    if (traces.publish.isHeard) traces.publish.publish({ channel: publicChannelName(channel), error, durationMs: since(begun) })
    const code = codeOf(error)
    count(this.publishErrors, code)
    // Its cause is a mistake of the application, whoever publishes, and it may be lost with the rejection.
    if (code === 'SCHEMA_FAILED') this.report(error, subjectOfChannel(channel))
    this.onError(error, 'publish', { channel: publicChannelName(channel) })
  }

  onGap(channel: string, gap: SSEGap, transport: SSETransport): void {
    this.gaps[gap.reason]++
    if (this.hooks?.isHeard('sse:gap')) this.#call('sse:gap', { channel: publicChannelName(channel), gap: isRun(channel) ? { ...gap, position: withoutSecret(gap.position) } : gap, transport })
  }

  onRefuse(event: H3Event, error: unknown): void {
    count(this.refused, codeOf(error))
    if (traces.refuse.isHeard) traces.refuse.publish({ event, path: '', ...this.requests?.describe(event), error, code: codeOf(error), durationMs: since(this.#arrivals.get(event)) })
    // The framework logs unknown errors, and takes an `SSEError` for an intended answer.
    if (isOurMistake(error)) this.report(error, this.requests?.subject(event))
    this.onError(error, 'request', { event })
  }

  onError(error: unknown, where: SSEErrorPlace, about?: { event?: H3Event, channel?: string }): void {
    if (this.hooks?.isHeard('sse:error')) this.#call('sse:error', { error, code: codeOf(error), where, ...about })
  }

  #call<Name extends keyof SSEHooks>(name: Name, payload: Parameters<SSEHooks[Name]>[0]): void {
    // In a microtask, so that no hook runs in the middle of the operation that it reports.
    void Promise.resolve().then(() => this.hooks!.call(name, payload)).catch(error => this.report(error))
  }
}

function describeSource(channel: string | Record<string, string> | undefined, position: string | undefined): Pick<SSEOpened, 'channel' | 'channels' | 'position'> {
  if (typeof channel === 'object') return { channel: Object.values(channel).join(', '), channels: channel, position }
  return channel !== undefined && isRun(channel) ? { channel: withoutSecret(channel), position: position && withoutSecret(position) } : { channel, position }
}

function codeOf(error: unknown): string {
  if (error instanceof SSEError) return error.code
  const { statusCode: status, data } = (error ?? {}) as { statusCode?: unknown, data?: { code?: unknown } | null }
  // An `SSEError` that passed through the framework has its code there, as clients see it.
  if (typeof data?.code === 'string') return data.code
  return typeof status === 'number' ? `HTTP_${status}` : 'UNKNOWN'
}

function count(counts: Map<string, number>, code: string): void {
  if (!counts.has(code) && counts.size >= MAX_CODES) code = 'OTHER'
  counts.set(code, (counts.get(code) ?? 0) + 1)
}

/** Names a channel in logs. The name of a `resumable` run contains its epoch, which is the key to the run. */
export function subjectOfChannel(name: string): string {
  return isRun(name) ? 'a resumable run' : `channel ${name}`
}
