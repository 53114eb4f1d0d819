import type { SSEPublicError } from '../../shared/errors'
import { invalidOption } from '../../shared/errors'
import type { SSEControl } from '../../shared/protocol'
import type { H3Event } from 'h3'
import type { Heartbeats } from './heartbeat'
import type { SSEEndReason, SSEErrorPlace } from '../insight/hooks'
import type { Insight, StreamRecord } from '../insight/insight'
import type { SSEMessageFields } from '../wire/message'
import type { ResolvedHandlerOptions } from '../options'
import type { ResponseSink, SinkEvents } from '../http/sink'
import type { SSECloseReason, SSEConnection } from './types'
import type { AsyncContext } from '../lib/async-context'
import { bindContext, captureContext } from '../lib/async-context'
import { Cleanups } from './cleanups'
import { spread, spreadEarlier } from '../lib/jitter'
import { encodeItem } from '../wire/message'
import { processTimeout } from '../lib/tick'
import { HEARTBEAT, byteLength, encodeComment, encodeControl, encodeMessage, encodePreamble, encodeShared } from '../wire/encode'

export interface ConnectionContext {
  heartbeats: Heartbeats
  /** Every open connection of the process. */
  connections: Set<Connection>
  /** Aborted when the process begins to shut down. */
  readonly closing: AbortSignal
  readonly insight: Insight
  /** Ends what belonged to requests that are gone without a word, on platforms where that happens. Called with what a request does again and again. */
  endAbandoned?: () => void
  /** For Nuxt DevTools, in development only: gives what a connection writes to in place of its sink. */
  tap?: (connection: Connection, sink: ResponseSink, event: H3Event) => ResponseSink
  /** Where errors go that nobody awaits. Default of `where`: `background`. `subject` names the route or the channel in the log. */
  report(error: unknown, where?: SSEErrorPlace, subject?: string): void
  /** Keeps a promise that never rejects, for a shutdown to wait for. */
  track(promise: Promise<unknown>): void
}

/** `push()` resolves at once while less than this waits to be sent; beyond, when the socket has drained. */
const HIGH_WATER_BYTES = 65_536
/** How long a reader that does not read may take to collect the `leave` that ends its connection. */
const LINGER_MS = 10_000

const ACCEPTED = Promise.resolve(true)
const REFUSED = Promise.resolve(false)
const DONE = Promise.resolve()
/** Shared by all idle connections, and never changed: a list for each would add up. */
const NOTHING: string[] = []

/** What the first block says of a resumable source. */
export interface StartPosition {
  position?: string
  resumed?: boolean
  /** For hooks: the channel that is streamed. */
  channel?: string
  /** See `SSEOpenControl`. */
  restarts?: boolean
  text?: boolean
}

const nothingKnown = (): StartPosition => ({})

/**
 * One open response: what is pushed, back pressure, and how it ends. Knows neither h3 nor channels.
 *
 * It opens with the first write, one turn of the event loop later: a handler may still fail with an ordinary HTTP
 * error in the turn in which it pushed. Everything of one turn is one write.
 */
export class Connection implements SSEConnection, SinkEvents {
  /** `forgone`: the answer is another response, and no stream. Handlers see it as closed; clean-ups wait for the end of that response. */
  #state: 'pending' | 'forgone' | 'open' | 'closed' = 'pending'
  #reason?: SSECloseReason
  #queue: string[] = NOTHING
  #queuedBytes = 0
  #flushing = false
  #blocked = false
  #handingOver = false
  #sentAt = 0
  #leaveAt = Infinity
  #linger?: ReturnType<typeof setTimeout>
  #drained?: PromiseWithResolvers<boolean>
  #abort?: { readonly controller: AbortController, now(): void }
  /** Of its request, for hooks: until it opens, and then only where one listens. */
  #context?: AsyncContext
  private readonly sink: ResponseSink
  readonly #cleanups: Cleanups
  #over = false
  #record?: StreamRecord
  #done?: PromiseWithResolvers<void>

  /** What was accepted: messages, and bytes of the body. */
  messages = 0
  bytes = 0

  /** What the first block says, asked when it is sent: a push may open the connection before its source is known. Dropped then. */
  start = nothingKnown

  /** Called when there is room again, for whoever pulls its source. */
  onRoom: () => void = () => {}

  constructor(
    readonly options: ResolvedHandlerOptions,
    private readonly context: ConnectionContext,
    sink: ResponseSink,
    /** For hooks. Dropped when the stream opens: a request would be the larger part of an idle connection. */
    private event?: H3Event,
  ) {
    this.#cleanups = new Cleanups(context)
    if (event) this.#context = captureContext()
    this.sink = event && context.tap ? context.tap(this, sink, event) : sink
    // `this`, and not two closures for each open connection.
    this.sink.watch(this)
  }

  get closed(): boolean {
    return this.#state === 'closed' || this.#state === 'forgone'
  }

  /** Whether the response is over, whatever it was. */
  get isOver(): boolean {
    return this.#state === 'closed'
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Whether something was written, or will be in a moment. */
  get hasBegun(): boolean {
    return this.bytes > 0
  }

  get closeReason(): SSECloseReason | undefined {
    return this.#reason
  }

  /** Made when first asked for, as {@link signal}. */
  get done(): Promise<void> {
    return this.#over ? DONE : (this.#done ??= Promise.withResolvers<void>()).promise
  }

  /** Made when first asked for: most handlers never do. */
  get signal(): AbortSignal {
    if (!this.#abort) {
      const controller = new AbortController()
      // Whoever listens to the signal cleans up: in the request that has asked for it.
      this.#abort = { controller, now: bindContext(() => controller.abort()) }
      if (this.isOver) controller.abort()
    }
    return this.#abort.controller.signal
  }

  /** Whether a pulled source should produce more. */
  get hasRoom(): boolean {
    // Only what the sink has said counts, because only that is followed by a call of `onDrain`.
    return this.#state === 'open' && !this.#blocked
  }

  get bufferedBytes(): number {
    return this.#queuedBytes + (this.isOpen ? this.sink.bufferedBytes : 0)
  }

  /** Sends headers and preamble now, and what was pushed before. */
  open(start?: StartPosition): void {
    if (this.#state !== 'pending') return
    if (start) this.start = () => start
    this.#flush()
  }

  push(item: unknown, fields?: SSEMessageFields): Promise<boolean> {
    try {
      return this.send(item, fields)
    }
    catch (error) {
      return this.refuse(error)
    }
  }

  /** As `push`, but throws: for a caller that handles it. */
  send(item: unknown, fields?: SSEMessageFields): Promise<boolean> {
    if (this.closed) return REFUSED
    return this.write(encodeMessage(encodeItem(item, this.options.maxMessageBytes, fields)))
  }

  comment(text: string): Promise<boolean> {
    try {
      return this.write(encodeComment(text), 0)
    }
    catch (error) {
      return this.refuse(error)
    }
  }

  /** A rejected promise which, if nobody awaits it, is reported instead of ending the process. */
  refuse(error: unknown): Promise<boolean> {
    const refused = Promise.reject<boolean>(error)
    refused.catch(() => this.context.report(error, 'push'))
    return refused
  }

  /** Queues text that is already encoded. `messages`: how many are in it. */
  write(text: string, messages = 1): Promise<boolean> {
    if (this.closed) return REFUSED
    const size = byteLength(text)
    // What was only gathered in this turn says nothing of how slow the reader is: it is handed over before it counts.
    if (this.#overflows(size)) this.#flush()
    if (this.closed) return REFUSED
    if (this.#overflows(size)) {
      if (this.#blocked || this.#handingOver) {
        this.leave()
        return REFUSED
      }
      // The socket has not said that it is full, and sends what it has at the end of this turn.
      this.#handingOver = true
      this.sink.afterTick(() => this.#handingOver = false)
    }
    if (this.#queue === NOTHING) this.#queue = [text]
    else this.#queue.push(text)
    this.#queuedBytes += size
    this.messages += messages
    this.bytes += size
    const full = this.#handingOver || this.#queuedBytes >= HIGH_WATER_BYTES
    if (full) this.#flush()
    else this.#flushLater()
    if (this.#blocked) return (this.#drained ??= Promise.withResolvers<boolean>()).promise
    // A loop of awaited pushes is microtasks only: without a turn of the event loop nobody else would be served.
    return full ? new Promise(resolve => this.sink.afterTick(() => resolve(!this.closed))) : ACCEPTED
  }

  /** Writes at once what the caller has encoded once for many connections. For pulled sources, which look at {@link hasRoom} first. */
  writeShared(chunk: Uint8Array | string, messages = 0): void {
    if (this.closed) return
    this.#flush()
    if (this.closed) return
    this.#sentAt = performance.now()
    this.messages += messages
    this.bytes += typeof chunk === 'string' ? byteLength(chunk) : chunk.length
    if (!this.#write(chunk)) this.#blocked = true
  }

  control(control: SSEControl, id?: string): void {
    this.writeShared(encodeControl(control, id))
  }

  close(): Promise<void> {
    this.#finish('end', { type: 'end' })
    return this.done
  }

  fail(error: SSEPublicError): void {
    const { code, statusCode, message, retry } = error
    this.#finish('error', { type: 'error', code, statusCode, message, retry }, code)
  }

  leave(retryMs = Math.ceil(Math.random() * this.options.retryMs)): void {
    if (!(Number.isFinite(retryMs) && retryMs >= 0)) throw invalidOption('retryMs', 'a number of milliseconds, at least 0', retryMs)
    this.#finish('leave', { type: 'leave', retryMs })
  }

  /** Never opens: the request is answered otherwise, by a poll's batch. What is pushed from now on goes nowhere; the signal still says when the client leaves. */
  forgo(): void {
    if (this.#state === 'pending') this.#state = 'forgone'
  }

  /** Ends before it opened: the answer is an ordinary HTTP response, most likely an error. */
  refuseToOpen(): void {
    if (this.#state !== 'pending' && this.#state !== 'forgone') return
    this.#close('refused')
    this.#settleDone()
  }

  /** A function that calls `task` where this connection can be written to, wherever it is called itself. */
  callable(task: () => void): () => void {
    return this.sink.callable(task)
  }

  /** `callback` runs in the context of the request that gives it. */
  onClosed(callback: () => unknown): () => void {
    return this.whenClosed(bindContext(callback))
  }

  /** The same for callbacks of our own, which need no context. */
  whenClosed(callback: () => unknown): () => void {
    return this.#cleanups.add(callback)
  }

  /** Runs `task`, which calls hooks, in the context of this connection's request. */
  run<T>(task: () => T): T {
    return this.#context ? this.#context.run(task) : task()
  }

  dueAt(): number {
    if (this.#state !== 'open') return Infinity
    const { heartbeatMs } = this.options
    return Math.min(heartbeatMs === false ? Infinity : this.#sentAt + heartbeatMs, this.#leaveAt)
  }

  fire(now: number): void {
    if (now >= this.#leaveAt) return this.leave()
    this.context.endAbandoned?.()
    // Bytes that wait already will show whether the peer is there, as a heartbeat would.
    if (this.#blocked) this.#sentAt = now
    else this.writeShared(heartbeatOf(this.options))
  }

  /** A message that exceeds the bound by itself can still be sent when nothing else waits. */
  #overflows(size: number): boolean {
    const buffered = this.bufferedBytes
    return buffered > 0 && buffered + size > this.options.maxBufferedBytes
  }

  #flushLater(): void {
    if (this.#flushing || this.#blocked) return
    this.#flushing = true
    this.sink.afterTick(() => {
      this.#flushing = false
      if (!this.#blocked) this.#flush()
    })
  }

  #flush(): void {
    if (this.closed) return
    if (this.#state === 'pending') this.#open()
    // Closed: somebody else had answered the request.
    if (this.closed || this.#queue.length === 0 || this.#blocked) return
    const text = this.#queue.length === 1 ? this.#queue[0]! : this.#queue.join('')
    this.#queue = NOTHING
    this.#queuedBytes = 0
    this.#sentAt = performance.now()
    if (!this.#write(text)) this.#blocked = true
  }

  #open(): void {
    const { heartbeatMs, retryMs, maxLifetimeMs } = this.options
    if (!this.sink.open(this.options.headers)) return this.refuseToOpen()
    this.#state = 'open'
    const start = this.start()
    const { position, resumed, restarts, text } = start
    this.#sentAt = performance.now()
    if (maxLifetimeMs !== false) this.#leaveAt = this.#sentAt + spreadEarlier(maxLifetimeMs)
    this.context.endAbandoned?.()
    this.context.connections.add(this)
    this.context.heartbeats.add(this)
    const retry = Math.round(spread(retryMs))
    const open = { type: 'open', heartbeatMs: heartbeatMs || 0, position, resumed, restarts, text } as const
    const preamble = encodePreamble(retry, open, position)
    this.bytes += byteLength(preamble)
    const { event, context: { insight } } = this
    this.#record = this.run(() => insight.onOpen(event, start))
    if (!insight.followsStreams) this.#context = undefined
    this.event = undefined
    this.start = nothingKnown
    if (!this.#write(preamble)) this.#blocked = true
    if (this.closed) return
    // A stream whose handler was still busy when the others were asked to leave must not hold back the shutdown.
    if (this.context.closing.aborted) this.sink.afterTick(() => this.leave())
  }

  /** For the sink: there is room again. */
  onDrain(): void {
    if (this.closed) return
    this.#blocked = false
    this.#flush()
    if (this.#blocked) return
    this.#settleDrained(true)
    this.onRoom()
  }

  /** The request is gone without a word, and so is everything that could hear of an abort. */
  abandon(): void {
    this.#abort = undefined
    this.onClose()
  }

  /** For the sink: the response is over. */
  onClose(): void {
    clearTimeout(this.#linger)
    this.#close('disconnect')
    this.#settleDone()
  }

  #finish(reason: SSEEndReason, control: SSEControl, code?: string): void {
    if (this.closed) return
    if (this.#state === 'pending') this.#open()
    if (this.closed) return
    const { sink } = this
    const last = encodeControl(control)
    const text = this.#queue.join('') + last
    this.bytes += byteLength(last)
    // Before the write: a web stream may ask for more while it is being written to.
    this.#queue = NOTHING
    this.#queuedBytes = 0
    this.onRoom = () => {}
    // Written even to a full socket: nothing of what was accepted is dropped, and nothing more will come.
    this.#write(text)
    if (this.closed) return
    sink.end()
    this.#linger = processTimeout(() => sink.destroy(), LINGER_MS)
    this.#close(reason, code)
  }

  #close(reason: SSECloseReason, code?: string): void {
    if (this.#state === 'closed') return
    const wasOpen = this.isOpen
    this.#reason = this.#state === 'forgone' ? 'refused' : reason
    this.#state = 'closed'
    this.#queue = NOTHING
    this.#queuedBytes = 0
    this.onRoom = () => {}
    this.context.connections.delete(this)
    this.context.heartbeats.delete(this)
    if (wasOpen) this.run(() => this.context.insight.onClose(this.#record, this, reason as SSEEndReason, code))
    this.#record = this.event = this.#context = undefined
    this.#settleDrained(false)
    this.#abort?.now()
    this.#cleanups.run()
  }

  /** A response that another library has wrapped may throw, against its contract: that ends this connection, and no other. */
  #write(chunk: Uint8Array | string): boolean {
    try {
      return this.sink.write(chunk)
    }
    catch (error) {
      this.run(() => this.context.report(error))
      this.sink.destroy()
      this.onClose()
      return true
    }
  }

  #settleDone(): void {
    this.#over = true
    this.#done?.resolve()
  }

  #settleDrained(accepted: boolean): void {
    this.#drained?.resolve(accepted)
    this.#drained = undefined
  }
}

const HEARTBEAT_BYTES = encodeShared(HEARTBEAT)
const CONTROL_HEARTBEAT_BYTES = encodeShared(encodeControl({ type: 'heartbeat' }))
/** By options, which all connections of a route share. */
const heartbeatTexts = new WeakMap<ResolvedHandlerOptions, Uint8Array>()

function heartbeatOf(options: ResolvedHandlerOptions): Uint8Array {
  if (options.heartbeatAs === 'control') return CONTROL_HEARTBEAT_BYTES
  if (options.heartbeatText === '') return HEARTBEAT_BYTES
  let bytes = heartbeatTexts.get(options)
  if (!bytes) heartbeatTexts.set(options, bytes = encodeShared(encodeComment(options.heartbeatText)))
  return bytes
}
