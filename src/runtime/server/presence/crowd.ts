import { SSEError } from '../../shared/errors'
import { createEpoch } from '../../shared/position'
import type { StreamPosition } from '../../shared/position'
import { MAX_TIMER_MS } from '../../shared/rules'
import type { SSEContext } from '../context/context'
import { withPresence } from '../drivers/capabilities'
import { graceOf, nextInDoubtMs } from '../drivers/presence-types'
import type { PresenceAnswer, PresenceHold, PresenceRequest } from '../drivers/presence-types'
import { retryDelayMs } from '../lib/delays'
import { afterTick, processTimeout } from '../lib/tick'
import type { Attendee } from './attendee'
import { lookUp } from './presence-lookup'
import { Roster } from './roster'
import { Steps } from './steps'

/** Lease of a holder as a share of `leaseMs`, at most: with the time that the driver adds after a silence, a process that was killed must be gone within two of them. */
const LONGEST_LEASE = 1.5
/** Renewals of a lease within its duration. */
export const RENEWALS = 3
/** Latest random delay of a step that is due, in milliseconds: of several processes, one does the work, and the others find it done. Also the least time between two looks for who has left. */
const LATE_MS = 50
/** Delay before a failed step is retried: twice within the time in which a lease must be renewed after an outage, however short the lease is. */
const RETRY = { firstMs: 200, maxMs: 2_000, ofLease: 0.2 }

/** Members of one name that are connected to this process, and the steps by which the driver learns of them. */
export class Crowd {
  readonly roster: Roster
  /** ID under which this process holds its members of this name. */
  #holder = createEpoch(16)
  readonly #attendees = new Map<string, Attendee>()
  /** Attendees without a connection. */
  readonly #leaving = new Set<Attendee>()
  readonly #steps: Steps
  #leaveTimer?: ReturnType<typeof setTimeout>
  /** Time of that timer. Some of the attendees may be back by then. */
  #leaveAt = Infinity
  #dueTimer?: ReturnType<typeof setTimeout>
  /** Longest `leaveAfterMs` of an attendee so far. */
  #leaveAfterMs = 0
  #watchers = 0
  #isLeased = false
  /** Time of the last successful step. */
  #reachedAt = performance.now()
  /** Position of the log after that step. */
  #reached?: StreamPosition
  /** Failed steps in a row. */
  #failures = 0
  #isClosed = false

  constructor(private readonly context: SSEContext, readonly name: string, private readonly onIdle: () => void) {
    this.roster = new Roster(context, name, () => lookUp(context, name, true), (id, member) => {
      const attendee = this.#attendees.get(id)
      if (attendee) attendee.acknowledged = member
    })
    this.#steps = new Steps((changes, isLast) => this.#step(changes, isLast))
  }

  /** Whether a lease must be renewed. */
  get hasMembers(): boolean {
    return this.#isLeased || this.#attendees.size > 0
  }

  get isIdle(): boolean {
    return this.#attendees.size === 0 && this.#watchers === 0 && this.#steps.isEmpty && !this.#isLeased
  }

  /** Follows the presence for a reader, until the returned function is called. */
  watch(): () => void {
    this.#watchers++
    const release = this.roster.watch()
    // Members of a process that is lost may be due.
    if (this.#watchers === 1) void this.renew()
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      this.#watchers--
      release()
      this.#rest()
    }
  }

  /**
   * Makes a client present. Resolves when the driver has it, with a function that ends the connection: the client leaves `ms` later, unless
   * it is back. Rejects when the driver cannot be reached.
   */
  async enter(id: string, member: string, leaveAfterMs: number): Promise<(ms?: number) => void> {
    if (this.#isClosed) throw new SSEError('SHUTTING_DOWN', 'The server is shutting down. Try again in a moment.', { statusCode: 503 })
    const known = this.#attendees.get(id)
    const attendee = known ?? { id, member, acknowledged: '', connections: 0, leaveAfterMs, until: Infinity }
    this.#attendees.set(id, attendee)
    attendee.connections++
    attendee.until = Infinity
    attendee.leaveAfterMs = leaveAfterMs
    this.#leaving.delete(attendee)
    this.#leaveAfterMs = Math.max(this.#leaveAfterMs, leaveAfterMs)
    let isOver = false
    const exit = (ms = leaveAfterMs) => {
      if (isOver) return
      isOver = true
      this.#exit(attendee, ms)
    }
    attendee.member = member
    try {
      // Every tab: another process may have changed the data since. Without a change, the driver sends no message.
      await this.#steps.hold({ id, member })
      attendee.acknowledged = member
      return exit
    }
    catch (error) {
      // The driver may have it all the same: the release follows.
      if (attendee.acknowledged) attendee.member = attendee.acknowledged
      exit(0)
      throw error
    }
  }

  /** Renews the lease, and performs what is due. A failure is retried. */
  renew(): Promise<void> {
    return this.#steps.renew().catch(() => {})
  }

  /** Hands all members over to the store: they stay until they are expected back at another instance. Never rejects. */
  async depart(): Promise<void> {
    this.#isClosed = true
    this.#steps.hurry()
    clearTimeout(this.#leaveTimer)
    clearTimeout(this.#dueTimer)
    const now = performance.now()
    for (const { id, connections, leaveAfterMs, until } of this.#attendees.values()) {
      this.#steps.release({ id, afterMs: Math.max(1, connections > 0 ? leaveAfterMs : until - now) })
    }
    this.#attendees.clear()
    this.#leaving.clear()
    await this.renew()
  }

  #exit(attendee: Attendee, ms: number): void {
    if (--attendee.connections > 0 || this.#isClosed) return
    attendee.until = performance.now() + ms
    this.#leaving.add(attendee)
    if (attendee.until < this.#leaveAt) this.#scheduleLeaving(attendee.until)
  }

  #scheduleLeaving(at: number): void {
    clearTimeout(this.#leaveTimer)
    this.#leaveAt = at
    if (at < Infinity) this.#leaveTimer = processTimeout(() => this.#leave(), Math.min(MAX_TIMER_MS, Math.max(0, at - performance.now())))
  }

  #leave(): void {
    const now = performance.now()
    let next = Infinity
    for (const attendee of this.#leaving) {
      if (attendee.until <= now) {
        this.#leaving.delete(attendee)
        this.#attendees.delete(attendee.id)
        this.#steps.release({ id: attendee.id, afterMs: 0 })
      }
      else next = Math.min(next, attendee.until)
    }
    this.#scheduleLeaving(Math.max(next, now + LATE_MS))
    this.#rest()
  }

  /** One step with the driver. */
  async #step(changes: Pick<PresenceRequest, 'hold' | 'release'>, isLast: boolean): Promise<void> {
    const { context: { driver, options } } = this
    // Members without a lease would stay forever: it ends with the last release.
    const leaseMs = this.#attendees.size > 0 || changes.hold || !isLast ? this.#leaseMs() : 0
    const hasHolder = leaseMs > 0 || this.#isLeased || changes.release !== undefined
    const startedAt = performance.now()
    try {
      const answer = await withPresence(driver).presence(this.name, { ...changes, ...hasHolder && { holder: this.#holder, leaseMs }, graceMs: graceOf(options.leaseMs) }, options.retention)
      // Until now, and not until the start: a repeated attempt may have found the lease that an earlier one took anew.
      const isLost = this.#isLeased && leaseMs > 0 && (!answer.known || performance.now() - this.#reachedAt > leaseMs)
      const isRolledBack = this.#isRolledBack(answer)
      this.#failures = 0
      this.#reachedAt = startedAt
      this.#reached = { epoch: answer.epoch, offset: answer.last }
      this.#isLeased = leaseMs > 0
      this.roster.expect(answer)
      // Under the old ID, the store may have members again that have left: they leave when its lease ends.
      if (isRolledBack) this.#holder = createEpoch(16)
      if (isRolledBack || isLost) this.#holdAgain(isRolledBack ? [] : changes.hold ?? [])
      this.#scheduleDue(answer)
      this.#rest()
    }
    catch (error) {
      this.#failures++
      this.#retryLater()
      throw error
    }
  }

  /** Whether the log is another than at the last step, or shorter: the store has lost changes that it had acknowledged. */
  #isRolledBack({ epoch, last }: PresenceAnswer): boolean {
    return this.#reached !== undefined && (this.#reached.epoch !== epoch || last < this.#reached.offset)
  }

  /**
   * Holds of this process have ended, because it was suspended or its records were lost. They are reported again, and keep the data that the
   * driver has. If it has none, the first process to report decides, so each reports the newest data that it knows, which may be another's.
   */
  #holdAgain(held: readonly PresenceHold[]): void {
    const ids = new Set(held.map(({ id }) => id))
    for (const { id, member, acknowledged } of this.#attendees.values()) {
      if (!ids.has(id)) this.#steps.hold({ id, member: acknowledged || member, keep: true }).catch(() => {})
    }
  }

  #leaseMs(): number {
    const { leaseMs } = this.context.options
    return Math.ceil(Math.max(leaseMs, Math.min(leaseMs * LONGEST_LEASE, leaseMs / RENEWALS + this.#leaveAfterMs)))
  }

  /** What is due before the next renewal is done when it is due. */
  #scheduleDue({ dueMs = Infinity, doubtMs }: PresenceAnswer): void {
    clearTimeout(this.#dueTimer)
    const { leaseMs } = this.context.options
    const ms = doubtMs ? Math.min(dueMs, nextInDoubtMs(leaseMs, doubtMs)) : dueMs
    if (this.#isClosed || ms > leaseMs / (this.hasMembers ? RENEWALS : 1)) return
    this.#dueTimer = processTimeout(() => void this.renew(), ms === 0 ? 0 : ms + LATE_MS * Math.random())
  }

  #retryLater(): void {
    clearTimeout(this.#dueTimer)
    if (this.#isClosed || this.context.closing.aborted) return
    const maxMs = Math.min(RETRY.maxMs, this.context.options.leaseMs * RETRY.ofLease)
    this.#dueTimer = processTimeout(() => void this.renew(), retryDelayMs({ firstMs: Math.min(RETRY.firstMs, maxMs), maxMs }, this.#failures - 1))
  }

  #rest(): void {
    afterTick(() => {
      if (!this.isIdle) return
      clearTimeout(this.#dueTimer)
      this.onIdle()
    })
  }
}
