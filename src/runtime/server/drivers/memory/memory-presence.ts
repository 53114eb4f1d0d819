import { MAX_DUE, MAX_GRACES, PRESENCE_MESSAGE } from '../presence-types'
import type { PresenceAnswer, PresenceRequest } from '../presence-types'

interface PresentMember {
  member: string
  /** Time at which each holder's hold ends, by `performance.now()`; `Infinity` while it depends on the holder's lease. */
  readonly holders: Map<string, number>
}

/** Presence of one channel in this process. Times are `performance.now()` times. */
export class MemoryPresence {
  readonly #members = new Map<string, PresentMember>()
  readonly #leases = new Map<string, number>()
  /** IDs of members with a hold whose end is known. */
  readonly #ending = new Set<string>()
  /** How often leases, `<holder>`, and holds, `<holder> <id>`, got more time since their last renewal. */
  readonly #graces = new Map<string, number>()
  /** Time of the last step. */
  #seenAt = -Infinity
  /** Time at which the leases end that got more time, and were not renewed since. */
  #doubtUntil = -Infinity

  get size(): number {
    return this.#members.size
  }

  /** Performs one step. Passes the JSON of each message to `say`. */
  step({ holder = '', leaseMs, hold = [], release = [], graceMs = 0, list }: PresenceRequest, say: (json: string) => void): Omit<PresenceAnswer, 'epoch' | 'last'> {
    const now = performance.now()
    const known = (this.#leases.get(holder) ?? 0) > now
    if (graceMs > 0 && now - this.#seenAt >= graceMs) this.#extend(now + graceMs)
    this.#seenAt = now
    if (leaseMs !== undefined) this.#graces.delete(holder)
    if (leaseMs) this.#leases.set(holder, now + leaseMs)
    else if (leaseMs === 0) this.#leases.delete(holder)
    for (const { id, member, keep } of hold) this.#hold(holder, id, member, keep, say)
    for (const { id, afterMs } of release) {
      if (!this.#members.get(id)?.holders.has(holder)) continue
      this.#graces.delete(keyOf(holder, id))
      if (afterMs > 0) this.#endAt(id, holder, now + afterMs)
      else this.#drop(id, holder, say)
    }
    this.#dropDue(now, say)
    const dueMs = this.#dueAt() - now
    return {
      known,
      count: this.#members.size,
      ...dueMs < Infinity && { dueMs: Math.max(0, dueMs) },
      ...this.#doubtUntil > now && [...this.#leases.values()].includes(this.#doubtUntil) && { doubtMs: this.#doubtUntil - now },
      ...list && { members: [...this.#members.values()].map(({ member }) => member) },
    }
  }

  #hold(holder: string, id: string, member: string, keep: boolean | undefined, say: (json: string) => void): void {
    const known = this.#members.get(id)
    this.#graces.delete(keyOf(holder, id))
    if (!known) {
      this.#members.set(id, { member, holders: new Map([[holder, Infinity]]) })
      return say(PRESENCE_MESSAGE.join(member))
    }
    known.holders.set(holder, Infinity)
    if (keep || known.member === member) return
    known.member = member
    say(PRESENCE_MESSAGE.update(member))
  }

  #endAt(id: string, holder: string, at: number): void {
    this.#members.get(id)!.holders.set(holder, at)
    this.#ending.add(id)
  }

  #drop(id: string, holder: string, say: (json: string) => void): void {
    const holders = this.#members.get(id)?.holders
    this.#graces.delete(keyOf(holder, id))
    if (!holders?.delete(holder) || holders.size > 0) return
    this.#members.delete(id)
    this.#ending.delete(id)
    say(PRESENCE_MESSAGE.leave(id))
  }

  /** Ends holds that are due, and those of holders whose lease has ended: at most {@link MAX_DUE} members. */
  #dropDue(now: number, say: (json: string) => void): void {
    let left = MAX_DUE
    for (const id of this.#ending) {
      for (const [holder, at] of this.#members.get(id)?.holders ?? []) if (at <= now && left-- > 0) this.#drop(id, holder, say)
    }
    for (const [holder, until] of this.#leases) {
      if (until > now) continue
      for (const [id, { holders }] of this.#members) if (holders.get(holder) === Infinity && left-- > 0) this.#drop(id, holder, say)
      if (left < 0) continue
      this.#leases.delete(holder)
      this.#graces.delete(holder)
    }
  }

  /** Leases and holds that end before `until` last until then. */
  #extend(until: number): void {
    for (const [holder, at] of this.#leases) {
      if (at >= until || !this.#grants(holder, MAX_GRACES)) continue
      this.#leases.set(holder, until)
      this.#doubtUntil = until
    }
    for (const id of this.#ending) {
      for (const [holder, at] of this.#members.get(id)?.holders ?? []) if (at < until && this.#grants(keyOf(holder, id), 1)) this.#endAt(id, holder, until)
    }
  }

  /** Counts how often a lease or hold gets more time. */
  #grants(key: string, most: number): boolean {
    const graces = this.#graces.get(key) ?? 0
    if (graces < most) this.#graces.set(key, graces + 1)
    return graces < most
  }

  #dueAt(): number {
    let dueAt = Infinity
    for (const until of this.#leases.values()) dueAt = Math.min(dueAt, until)
    for (const id of this.#ending) {
      let isEnding = false
      for (const at of this.#members.get(id)?.holders.values() ?? []) {
        dueAt = Math.min(dueAt, at)
        isEnding ||= at < Infinity
      }
      if (!isEnding) this.#ending.delete(id)
    }
    return dueAt
  }
}

/** The ID of a holder has no space. */
function keyOf(holder: string, id: string): string {
  return `${holder} ${id}`
}
