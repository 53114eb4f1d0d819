import { MAX_TIMER_MS } from '../../shared/rules'
import type { Due, Timers } from '../lib/platform/contract'
import { processTimeout } from '../lib/tick'
import type { ResolvedHandlerOptions } from '../options'
import { HEARTBEAT, encodeComment, encodeControl, encodeShared } from '../wire/encode'

/** Width of a slot, and so the maximum delay of a timer: less than 1 % of a 15 s heartbeat. */
const SLOT_MS = 100
/** Slots of timers due sooner than this are finer, for heartbeats of a few hundred milliseconds. */
const FINE_BELOW_MS = 2_000
const FINE_SLOT_MS = 10

/**
 * One timer for all heartbeats and lifetimes of a process, instead of one or two per connection: a hashed timing wheel (Varghese and Lauck
 * 1987). The wheel is a map, so only slots in use exist.
 *
 * Sending a message costs nothing here. A due slot checks its members, fires those that are due, and moves the others to the slot of their
 * new time. The timer runs only while there are members, and never keeps the process alive.
 */
export class Heartbeats implements Timers {
  readonly #slots = new Map<number, Set<Due>>()
  readonly #slotOf = new Map<Due, number>()
  #timer?: ReturnType<typeof setTimeout>
  #timerAt = Infinity

  /** `report` receives the error of a member that throws. */
  constructor(private readonly report: (error: unknown) => void = error => console.error(error)) {}

  /** Number of members: 0 when none is left. */
  get size(): number {
    return this.#slotOf.size
  }

  add(due: Due): void {
    const now = performance.now()
    const at = due.dueAt()
    if (at === Infinity) return
    const width = at - now < FINE_BELOW_MS ? FINE_SLOT_MS : SLOT_MS
    const slot = Math.ceil(at / width) * width
    let members = this.#slots.get(slot)
    if (!members) this.#slots.set(slot, members = new Set())
    members.add(due)
    this.#slotOf.set(due, slot)
    this.#arm(slot, now)
  }

  delete(due: Due): void {
    const slot = this.#slotOf.get(due)
    if (slot === undefined) return
    this.#slotOf.delete(due)
    // The slot may be gone: it is removed before its members fire, and one of them may remove another.
    const members = this.#slots.get(slot)
    members?.delete(due)
    if (members?.size === 0) this.#slots.delete(slot)
    if (this.#slotOf.size === 0) this.#disarm()
  }

  #arm(slot: number, now: number): void {
    if (slot >= this.#timerAt) return
    this.#disarm()
    this.#timerAt = slot
    this.#timer = processTimeout(() => this.#turn(), Math.min(MAX_TIMER_MS, Math.max(0, slot - now)))
  }

  #disarm(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#timerAt = Infinity
  }

  #turn(): void {
    this.#disarm()
    // By this clock, timers may fire up to a millisecond early.
    const now = performance.now() + 1
    for (const slot of [...this.#slots.keys()].filter(slot => slot <= now)) {
      const members = this.#slots.get(slot) ?? []
      this.#slots.delete(slot)
      for (const due of members) {
        if (this.#slotOf.get(due) !== slot) continue
        this.#slotOf.delete(due)
        // A member may have been removed while it fired, possibly by itself. Its `dueAt` is Infinity then.
        if (this.#fire(due, now)) this.add(due)
      }
    }
    let next = Infinity
    for (const slot of this.#slots.keys()) next = Math.min(next, slot)
    if (next !== Infinity) this.#arm(next, performance.now())
  }

  /**
   * Fires a member if it is due. Members belong to different requests: an error of one must not stop the others. Returns `false` if the
   * member would throw again at once.
   */
  #fire(due: Due, now: number): boolean {
    try {
      if (due.dueAt() <= now) due.fire(now)
      return true
    }
    catch (error) {
      this.report(error)
      return due.dueAt() > now
    }
  }
}

const HEARTBEAT_BYTES = encodeShared(HEARTBEAT)
const CONTROL_HEARTBEAT_BYTES = encodeShared(encodeControl({ type: 'heartbeat' }))
/** Key: options object, which all connections of a route share. */
const heartbeatTexts = new WeakMap<ResolvedHandlerOptions, Uint8Array>()

/** Bytes of one heartbeat, shared by all connections with these options. */
export function heartbeatOf(options: ResolvedHandlerOptions): Uint8Array {
  if (options.heartbeatAs === 'control') return CONTROL_HEARTBEAT_BYTES
  if (options.heartbeatText === '') return HEARTBEAT_BYTES
  let bytes = heartbeatTexts.get(options)
  if (!bytes) heartbeatTexts.set(options, bytes = encodeShared(encodeComment(options.heartbeatText)))
  return bytes
}
