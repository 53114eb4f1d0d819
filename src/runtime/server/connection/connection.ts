import type { H3Event } from 'h3'
import type { SSEPublicError } from '../../shared/errors'
import { invalidOption } from '../../shared/errors'
import type { SSEControl } from '../../shared/protocol'
import type { ResponseSink, SinkEvents } from '../http/sink'
import type { SSEEndReason } from '../insight/hooks'
import type { StreamRecord } from '../insight/insight'
import type { AsyncContext } from '../lib/async-context'
import { bindContext, captureContext } from '../lib/async-context'
import { spreadEarlier } from '../lib/delays'
import { processTimeout } from '../lib/tick'
import type { ResolvedHandlerOptions } from '../options'
import { encodeComment, encodeControl } from '../wire/encode'
import type { SSEMessageFields } from '../wire/message'
import { encodeItemText } from '../wire/message'
import type { ConnectionContext } from './context'
import { heartbeatOf } from './heartbeat'
import { Lifecycle } from './lifecycle'
import type { StartPosition } from './opening-block'
import { openingBlock } from './opening-block'
import type { OutboxOwner } from './outbox'
import { Outbox, REFUSED } from './outbox'
import type { SSECloseReason, SSEConnection } from './types'

/** Milliseconds that a client which reads too slowly has to receive the last block, before the connection is cut. */
const LINGER_MS = 10_000
const nothingKnown = (): StartPosition => ({})
const ignore = () => {}

/**
 * One open response: its messages and its end. Independent of h3 and of channels.
 *
 * It opens with the first write, one turn of the event loop after the first push. Until then, a handler may still fail with an ordinary
 * HTTP error. All pushes of one turn are one write.
 */
export class Connection implements SSEConnection, SinkEvents, OutboxOwner {
  readonly life: Lifecycle
  readonly outbox: Outbox
  readonly sink: ResponseSink
  #leaveAt = Infinity
  #linger?: ReturnType<typeof setTimeout>
  /** Async context of its request, for hooks. Dropped when the connection opens, unless a hook listens. */
  #context?: AsyncContext
  #record?: StreamRecord
  /** Content of the first block, requested when it is sent: a push may open the connection before its source is known. Dropped then. */
  start = nothingKnown
  /** Called once, when the response has begun. */
  onOpen = ignore
  /** Called when there is room again, for sources that are pulled. */
  onRoom = ignore

  constructor(
    readonly options: ResolvedHandlerOptions,
    private readonly context: ConnectionContext<Connection>,
    sink: ResponseSink,
    /** For hooks. Dropped when the stream opens: a request would be the larger part of an idle connection's memory. */
    private event?: H3Event,
  ) {
    this.life = new Lifecycle(context)
    if (event) this.#context = captureContext()
    this.sink = event && context.tap ? context.tap(this, sink, event) : sink
    this.outbox = new Outbox(this.sink, this, options.maxBufferedBytes)
    // `this` saves two closures for each open connection.
    this.sink.watch(this)
  }

  get closed(): boolean {
    return this.life.isClosed
  }

  get closeReason(): SSECloseReason | undefined {
    return this.life.reason
  }

  get signal(): AbortSignal {
    return this.life.signal
  }

  /** Whether a pulled source should produce more. */
  get hasRoom(): boolean {
    return this.life.isOpen && !this.outbox.isBlocked
  }

  /** Sends the headers, the opening block and the queued text now. */
  open(start?: StartPosition): void {
    if (!this.life.isPending) return
    if (start) this.start = () => start
    this.outbox.flush()
  }

  push(item: unknown, fields?: SSEMessageFields): Promise<boolean> {
    try {
      return this.closed ? REFUSED : this.queue(encodeItemText(item, this.options.maxMessageBytes, fields))
    }
    catch (error) {
      return this.refuse(error)
    }
  }

  comment(text: string): Promise<boolean> {
    try {
      return this.queue(encodeComment(text), 0)
    }
    catch (error) {
      return this.refuse(error)
    }
  }

  /** Returns a promise that rejects, and reports the error: a push that is not awaited must neither fail silently nor end the process. */
  refuse(error: unknown): Promise<boolean> {
    const refused = Promise.reject<boolean>(error)
    refused.catch(() => this.context.report(error, 'push'))
    return refused
  }

  /** Queues encoded text that contains `messages` messages. Beyond `maxBufferedBytes`, the connection ends with a `leave`. */
  queue(text: string, messages = 1): Promise<boolean> {
    if (this.closed) return REFUSED
    const accepted = this.outbox.push(text, messages)
    if (accepted) return accepted
    this.leave()
    return REFUSED
  }

  /** Writes bytes that were encoded once for many connections. For pulled sources, which check {@link hasRoom} first. */
  writeNow(chunk: Uint8Array | string, messages = 0): void {
    if (!this.closed) this.outbox.writeNow(chunk, messages)
  }

  close(): Promise<void> {
    this.#finish('end', { type: 'end' })
    return this.life.done
  }

  fail(error: SSEPublicError): void {
    const { code, statusCode, message, retry } = error
    this.#finish('error', { type: 'error', code, statusCode, message, retry }, code)
  }

  leave(retryMs = Math.ceil(Math.random() * this.options.retryMs)): void {
    if (!(Number.isFinite(retryMs) && retryMs >= 0)) throw invalidOption('retryMs', 'a number of milliseconds, at least 0', retryMs)
    this.#finish('leave', { type: 'leave', retryMs }, undefined, retryMs)
  }

  /** Ends a connection that never opened: the response is an ordinary HTTP response, usually an error. */
  refuseToOpen(): void {
    if (this.life.isOpen || this.life.isOver) return
    this.#end('refused')
    this.life.sent()
  }

  /** Runs `callback` in the context of the request that adds it. Internal clean-ups need no context and use `life.whenClosed`. */
  onClosed(callback: () => unknown): () => void {
    return this.life.whenClosed(bindContext(callback))
  }

  /** Runs `task`, which calls hooks, in the context of this connection's request. */
  run<T>(task: () => T): T {
    return this.#context ? this.#context.run(task) : task()
  }

  dueAt(): number {
    const { heartbeatMs } = this.options
    if (!this.life.isOpen) return Infinity
    return Math.min(heartbeatMs === false ? Infinity : this.outbox.sentAt + heartbeatMs, this.#leaveAt)
  }

  fire(now: number): void {
    if (now >= this.#leaveAt) return this.leave()
    this.context.endAbandoned()
    if (this.outbox.isBlocked) this.outbox.touch(now)
    else this.writeNow(heartbeatOf(this.options))
  }

  /** For the outbox: opens the response. Returns `false` if it is over, or the request has another response already. */
  begin(): boolean {
    if (this.life.isPending) this.#open()
    return !this.closed
  }

  #open(): void {
    if (!this.sink.open(this.options.headers)) return this.refuseToOpen()
    this.life.open()
    const start = this.start()
    const { event, context, options: { maxLifetimeMs } } = this
    const now = performance.now()
    this.outbox.touch(now)
    if (maxLifetimeMs !== false) this.#leaveAt = now + spreadEarlier(maxLifetimeMs)
    context.endAbandoned()
    context.connections.add(this)
    context.heartbeats.add(this)
    this.#record = this.run(() => context.insight.onOpen(event, start))
    if (!context.insight.followsStreams) this.#context = undefined
    this.event = undefined
    this.start = nothingKnown
    this.outbox.begin(openingBlock(start, this.options))
    this.onOpen()
    this.onOpen = ignore
    if (this.closed) return
    // The handler was still busy when the other clients were sent away. Its stream must not delay the shutdown.
    if (context.closing.aborted) this.sink.afterTick(() => this.leave())
  }

  /** For the sink: called when there is room again. */
  onDrain(): void {
    if (!this.closed && this.outbox.drain()) this.onRoom()
  }

  /** For the sink: called when the response is over. */
  onClose(): void {
    clearTimeout(this.#linger)
    this.#end('disconnect')
    this.life.sent()
  }

  /** For the outbox: called when a write throws, as one to a wrapped response may. It must end only this connection. */
  onFailure(error: unknown): void {
    this.run(() => this.context.report(error))
    this.sink.destroy()
    this.onClose()
  }

  /** Called when the request was cancelled without a sign. Listeners of its signal can no longer run. */
  abandon(): void {
    this.life.dropSignal()
    this.onClose()
  }

  #finish(reason: SSEEndReason, control: SSEControl, code?: string, returnMs?: number): void {
    if (!this.begin()) return
    this.onRoom = ignore
    this.outbox.finish(encodeControl(control))
    if (this.closed) return
    this.sink.end()
    this.#linger = processTimeout(() => this.sink.destroy(), LINGER_MS)
    this.#end(reason, code, returnMs)
  }

  #end(reason: SSECloseReason, code?: string, returnMs?: number): void {
    const wasOpen = this.life.isOpen
    this.life.end(reason, () => {
      this.onRoom = ignore
      this.context.connections.delete(this)
      this.context.heartbeats.delete(this)
      if (wasOpen) this.run(() => this.context.insight.onClose(this.#record, this.outbox, reason as SSEEndReason, code))
      this.#record = this.event = this.#context = undefined
      this.outbox.drop()
    }, returnMs)
  }
}
