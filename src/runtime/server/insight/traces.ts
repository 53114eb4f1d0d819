import type { H3Event } from 'h3'
import { platform } from '../lib/platform/platform'
import type { SSEOpened } from './hooks'

/** A stream has opened. */
export interface SSEOpenTrace extends SSEOpened {
  /** Milliseconds since the request arrived. */
  durationMs: number
}

export interface SSERefuseTrace {
  event: H3Event
  /** Path with its query, as in `sse:open`. */
  path: string
  /** Pattern that the path matched, if it is known. */
  route?: string
  error: unknown
  /** Code of the error, as in `sse:error`. */
  code: string
  /** Milliseconds since the request arrived. */
  durationMs: number
}

export interface SSEPublishTrace {
  channel: string
  /** Absent if the message was not stored. */
  id?: string
  event?: string
  /** Bytes of the data as JSON. Absent if the message was not stored. */
  bytes?: number
  /** Reason why the message was not stored. */
  error?: unknown
  /** Milliseconds that the driver took. Messages of one append have the same. 0 for a message that never reached the driver. */
  durationMs: number
}

export interface SSEDeliverTrace {
  channel: string
  /** IDs of the messages, oldest first. */
  ids: string[]
  /** Number of streams of the channel in this process. */
  readers: number
  /** Milliseconds until all of them had their turn. A stream whose socket is full receives the messages later. */
  durationMs: number
}

/** Messages of the diagnostics channels, by name. */
export interface SSETraces {
  /** A stream has opened. */
  'nuxt-sse:open': SSEOpenTrace
  /** A request was refused before a stream began. */
  'nuxt-sse:refuse': SSERefuseTrace
  /** The driver has stored a message, or the message was refused. */
  'nuxt-sse:publish': SSEPublishTrace
  /** New messages of a channel were passed to the streams of this process: once for all of them. */
  'nuxt-sse:deliver': SSEDeliverTrace
}

/** A diagnostics channel. Without subscribers, nothing is measured and no message is created. */
class Trace<Name extends keyof SSETraces> {
  readonly #channel

  constructor(name: Name) {
    this.#channel = platform.diagnostics?.channel(name)
  }

  get isHeard(): boolean {
    return this.#channel?.hasSubscribers === true
  }

  /** Start of a measured operation, for {@link since}; `undefined` without subscribers. */
  begin(): number | undefined {
    return this.isHeard ? performance.now() : undefined
  }

  publish(trace: SSETraces[Name]): void {
    this.#channel?.publish(trace)
  }
}

export const traces = {
  open: new Trace('nuxt-sse:open'),
  refuse: new Trace('nuxt-sse:refuse'),
  publish: new Trace('nuxt-sse:publish'),
  deliver: new Trace('nuxt-sse:deliver'),
}

/** Milliseconds since {@link Trace.begin}; 0 for an operation that had not begun, or began before there were subscribers. */
export const since = (begun: number | undefined): number => begun === undefined ? 0 : performance.now() - begun
