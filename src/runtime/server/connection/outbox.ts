import type { ResponseSink } from '../http/sink'
import { byteLength } from '../wire/encode'

/** `push()` resolves at once while less than this waits to be sent; beyond, when the socket has drained. */
const HIGH_WATER_BYTES = 65_536

const ACCEPTED = Promise.resolve(true)
export const REFUSED = Promise.resolve(false)
/** Shared by all idle connections, and never changed: a list for each would add up. */
const NOTHING: string[] = []

export interface OutboxOwner {
  readonly closed: boolean
  /** Opens the response before its first bytes. `false` where it is over. */
  begin(): boolean
  /** A write threw, against the contract of a sink. */
  onFailure(error: unknown): void
}

/**
 * What one response sends, and in which order: gathers what is pushed in one turn of the event loop into one write, holds it while the
 * peer does not keep up, and counts what was accepted.
 */
export class Outbox {
  /** Accepted messages, and bytes of the body, heartbeats and control messages among them. */
  messages = 0
  bytes = 0
  #sentAt = 0
  #queue = NOTHING
  #queuedBytes = 0
  #isOpen = false
  #isScheduled = false
  #isBlocked = false
  /** Past the bound in this turn, with a socket that has not said that it is full: it sends what it has when the turn is over. */
  #isYielding = false
  #drained?: PromiseWithResolvers<boolean>

  constructor(private readonly sink: ResponseSink, private readonly owner: OutboxOwner, private readonly maxBufferedBytes: number) {}

  /** The peer does not keep up. Only what the sink has said counts, because only that is followed by `onDrain`. */
  get isBlocked(): boolean {
    return this.#isBlocked
  }

  /** When bytes were last handed to the socket, in `performance.now()` time. */
  get sentAt(): number {
    return this.#sentAt
  }

  /** Bytes that wait here and in the socket. */
  get bufferedBytes(): number {
    return this.#queuedBytes + (this.#isOpen ? this.sink.bufferedBytes : 0)
  }

  /**
   * Queues text that holds `messages` messages. Resolves with `true` when there is room for more, and with `false` where the response
   * is over. `undefined`: past the bound, and nothing was taken.
   */
  push(text: string, messages: number): Promise<boolean> | undefined {
    const size = byteLength(text)
    // What was only gathered in this turn says nothing of how slow the reader is: it is handed over before it counts.
    if (this.#overflows(size) && !this.flush()) return REFUSED
    if (this.#overflows(size)) {
      if (this.#isBlocked || this.#isYielding) return undefined
      this.#isYielding = true
      this.sink.afterTick(() => this.#isYielding = false)
    }
    if (this.#queue === NOTHING) this.#queue = [text]
    else this.#queue.push(text)
    this.#queuedBytes += size
    this.messages += messages
    this.bytes += size
    const isFull = this.#isYielding || this.#queuedBytes >= HIGH_WATER_BYTES
    if (isFull) this.flush()
    else this.#flushLater()
    if (this.#isBlocked) return (this.#drained ??= Promise.withResolvers<boolean>()).promise
    // A loop of awaited pushes is microtasks only: without a turn of the event loop nothing else would be served.
    return isFull ? new Promise(resolve => this.sink.afterTick(() => resolve(!this.owner.closed))) : ACCEPTED
  }

  /** Writes at once, after what is queued, whether the peer keeps up or not. */
  writeNow(chunk: Uint8Array | string, messages = 0): void {
    if (!this.flush()) return
    this.messages += messages
    this.bytes += typeof chunk === 'string' ? byteLength(chunk) : chunk.length
    this.#write(chunk)
  }

  /** The response has begun: its first bytes, before all that is queued. */
  begin(block: string): void {
    this.#isOpen = true
    this.bytes += byteLength(block)
    this.#write(block)
  }

  /** The last write, with all that is queued. Written even to a full socket: nothing that was accepted is dropped, and nothing more will come. */
  finish(last: string): void {
    const text = this.#queue.join('') + last
    this.bytes += byteLength(last)
    // Before the write: a web stream may ask for more while it is being written to.
    this.#queue = NOTHING
    this.#queuedBytes = 0
    this.#write(text)
  }

  /** Writes what is queued, unless the peer does not keep up. `false` where the response is over. */
  flush(): boolean {
    if (!this.owner.begin()) return false
    if (this.#queue.length === 0 || this.#isBlocked) return true
    const text = this.#queue.length === 1 ? this.#queue[0]! : this.#queue.join('')
    this.#queue = NOTHING
    this.#queuedBytes = 0
    this.#write(text)
    return !this.owner.closed
  }

  /** The socket has room again. `false` where what was queued has filled it at once, or the response is over. */
  drain(): boolean {
    this.#isBlocked = false
    if (!this.flush() || this.#isBlocked) return false
    this.#settle(true)
    return true
  }

  /** Counts as a write for {@link sentAt}: bytes that wait show whether the peer is there, as a heartbeat would. */
  touch(now: number): void {
    this.#sentAt = now
  }

  /** The response is over. */
  drop(): void {
    this.#isOpen = false
    this.#queue = NOTHING
    this.#queuedBytes = 0
    this.#settle(false)
  }

  /** A message that exceeds the bound by itself can still be sent when nothing else waits. */
  #overflows(size: number): boolean {
    const buffered = this.bufferedBytes
    return buffered > 0 && buffered + size > this.maxBufferedBytes
  }

  #flushLater(): void {
    if (this.#isScheduled || this.#isBlocked) return
    this.#isScheduled = true
    this.sink.afterTick(() => {
      this.#isScheduled = false
      if (!this.#isBlocked) this.flush()
    })
  }

  #write(chunk: Uint8Array | string): void {
    this.#sentAt = performance.now()
    try {
      if (!this.sink.write(chunk)) this.#isBlocked = true
    }
    catch (error) {
      this.owner.onFailure(error)
    }
  }

  #settle(accepted: boolean): void {
    this.#drained?.resolve(accepted)
    this.#drained = undefined
  }
}
