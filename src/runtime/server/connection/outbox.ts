import type { ResponseSink } from '../http/sink'
import { byteLength } from '../wire/encode'

/** `push()` resolves at once while fewer bytes are buffered, and otherwise when the socket has drained. */
const HIGH_WATER_BYTES = 65_536

const ACCEPTED = Promise.resolve(true)
export const REFUSED = Promise.resolve(false)
/** Shared by all idle connections, and never changed: a list for each would add up. */
const NOTHING: string[] = []

export interface OutboxOwner {
  readonly closed: boolean
  /** Opens the response before its first bytes. Returns `false` if the response is over. */
  begin(): boolean
  /** Called when a write throws, against the contract of a sink. */
  onFailure(error: unknown): void
}

/**
 * Output of one response, in order. It joins the pushes of one turn of the event loop into one write, holds them back while the client
 * reads too slowly, and counts accepted messages and bytes.
 */
export class Outbox {
  /** Accepted messages; and bytes of the body, including heartbeats and control messages. */
  messages = 0
  bytes = 0
  #sentAt = 0
  #queue = NOTHING
  #queuedBytes = 0
  #isOpen = false
  #isScheduled = false
  #isBlocked = false
  /**
   * Set when a push exceeds the bound while the socket has not reported that it is full. That push is accepted once, and resolves at the
   * end of the turn.
   */
  #isYielding = false
  #drained?: PromiseWithResolvers<boolean>

  constructor(private readonly sink: ResponseSink, private readonly owner: OutboxOwner, private readonly maxBufferedBytes: number) {}

  /** Whether the client reads too slowly. Only the result of `write` sets it, because `onDrain` follows only then. */
  get isBlocked(): boolean {
    return this.#isBlocked
  }

  /** Time of the last write to the socket, as `performance.now()`. */
  get sentAt(): number {
    return this.#sentAt
  }

  /** Bytes queued here and in the socket. */
  get bufferedBytes(): number {
    return this.#queuedBytes + (this.#isOpen ? this.sink.bufferedBytes : 0)
  }

  /**
   * Queues text that contains `messages` messages. Resolves with `true` when there is room for more, and with `false` if the response is
   * over. Returns `undefined` if the text exceeds the bound: nothing was queued then.
   */
  push(text: string, messages: number): Promise<boolean> | undefined {
    const size = byteLength(text)
    // Text queued in this turn does not show how slow the client is. Flush it before it counts.
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
    // A loop of awaited pushes runs in microtasks only. Without a turn of the event loop it would block everything else.
    return isFull ? new Promise(resolve => this.sink.afterTick(() => resolve(!this.owner.closed))) : ACCEPTED
  }

  /** Writes at once, after the queued text, even while the client reads too slowly. */
  writeNow(chunk: Uint8Array | string, messages = 0): void {
    if (!this.flush()) return
    this.messages += messages
    this.bytes += typeof chunk === 'string' ? byteLength(chunk) : chunk.length
    this.#write(chunk)
  }

  /** Begins the response: writes its first bytes, before all queued text. */
  begin(block: string): void {
    this.#isOpen = true
    this.bytes += byteLength(block)
    this.#write(block)
  }

  /**
   * Makes the last write, with all queued text. It is written even to a full socket: accepted messages are never dropped, and nothing
   * follows.
   */
  finish(last: string): void {
    const text = this.#queue.join('') + last
    this.bytes += byteLength(last)
    // Reset before the write: a web stream may pull during the write.
    this.#queue = NOTHING
    this.#queuedBytes = 0
    this.#write(text)
  }

  /** Writes the queued text, unless the client reads too slowly. Returns `false` if the response is over. */
  flush(): boolean {
    if (!this.owner.begin()) return false
    if (this.#queue.length === 0 || this.#isBlocked) return true
    const text = this.#queue.length === 1 ? this.#queue[0]! : this.#queue.join('')
    this.#queue = NOTHING
    this.#queuedBytes = 0
    this.#write(text)
    return !this.owner.closed
  }

  /** Called when the socket has room again. Returns `false` if the queued text filled it at once, or the response is over. */
  drain(): boolean {
    this.#isBlocked = false
    if (!this.flush() || this.#isBlocked) return false
    this.#settle(true)
    return true
  }

  /** Counts as a write for {@link sentAt}: unsent bytes already reveal whether the client is connected, as a heartbeat would. */
  touch(now: number): void {
    this.#sentAt = now
  }

  /** Called when the response is over. */
  drop(): void {
    this.#isOpen = false
    this.#queue = NOTHING
    this.#queuedBytes = 0
    this.#settle(false)
  }

  /** A message larger than the bound can still be sent when nothing else is buffered. */
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
