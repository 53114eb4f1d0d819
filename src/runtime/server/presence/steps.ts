import type { PresenceHold, PresenceRelease, PresenceRequest } from '../drivers/presence-types'
import { outside } from '../lib/async-context'
import { afterTick, pause } from '../lib/tick'

/** Maximum number of holds, and of releases, in one step: while a step runs, Redis does nothing else. */
const MAX_CHANGES = 500
/** Maximum number of characters of the members in one step. */
const MAX_LENGTH = 524_288

/**
 * Time from one step to the next, in milliseconds, while little waits. A change is sent at once if there was none before it. Many changes
 * come together: a thousand clients that join within a second are twenty messages' worth of writes for each reader, and not a thousand.
 */
const GATHER_MS = 50

type Changes = Pick<PresenceRequest, 'hold' | 'release'>

interface Waiting {
  readonly hold: PresenceHold
  readonly done: PromiseWithResolvers<void>
}

/**
 * Changes of one name's members on their way to the driver. Changes of one tick, and those that arrive while a step is in flight or right
 * after it, are one step. One step is in flight at a time, so that changes of one member keep their order.
 */
export class Steps {
  readonly #holds = new Map<string, Waiting>()
  readonly #releases = new Map<string, PresenceRelease>()
  /** A step without changes that waits for its turn. */
  #renewal?: PromiseWithResolvers<void>
  #running = false
  #sentAt = -Infinity
  readonly #hurry = new AbortController()

  /** `send` performs one step. `isLast`: no change waits for the next one. */
  constructor(private readonly send: (changes: Changes, isLast: boolean) => Promise<void>) {}

  get isEmpty(): boolean {
    return !this.#running && this.#holds.size === 0 && this.#releases.size === 0 && !this.#renewal
  }

  /**
   * Resolves when the driver has the member. A later hold of the same member replaces one that was not sent, and both wait for it. One with
   * `keep` does not: the other one has newer data, and a caller that must learn of a failure.
   */
  hold(hold: PresenceHold): Promise<void> {
    const earlier = this.#holds.get(hold.id)
    if (earlier && hold.keep) return earlier.done.promise
    const waiting = { hold, done: earlier?.done ?? Promise.withResolvers<void>() }
    this.#releases.delete(hold.id)
    this.#holds.set(hold.id, waiting)
    this.#start()
    return waiting.done.promise
  }

  /** A release that fails stays for the next step. */
  release(release: PresenceRelease): void {
    const waiting = this.#holds.get(release.id)
    this.#holds.delete(release.id)
    waiting?.done.resolve()
    this.#releases.set(release.id, release)
    this.#start()
  }

  /** Resolves after a step that begins after this call, and all changes before it. */
  renew(): Promise<void> {
    this.#renewal ??= Promise.withResolvers<void>()
    this.#start()
    return this.#renewal.promise
  }

  /** From now on, no step waits for more changes. */
  hurry(): void {
    this.#hurry.abort()
  }

  #start(): void {
    if (this.#running) return
    this.#running = true
    afterTick(() => void this.#run())
  }

  async #run(): Promise<void> {
    let isFailing = false
    while (!isFailing && (this.#holds.size > 0 || this.#releases.size > 0 || this.#renewal)) {
      const waitMs = this.#sentAt + GATHER_MS - performance.now()
      if (waitMs > 0 && this.#holds.size < MAX_CHANGES && this.#releases.size < MAX_CHANGES) await outside(() => pause(waitMs, this.#hurry.signal))
      const { holds, releases } = this.#take()
      this.#sentAt = performance.now()
      const isLast = this.#holds.size === 0 && this.#releases.size === 0
      const renewal = isLast ? this.#renewal : undefined
      if (isLast) this.#renewal = undefined
      try {
        await this.send({ ...holds.length && { hold: holds.map(({ hold }) => hold) }, ...releases.length && { release: releases } }, isLast)
        for (const { done } of holds) done.resolve()
        renewal?.resolve()
      }
      catch (error) {
        isFailing = true
        for (const release of releases) if (!this.#holds.has(release.id) && !this.#releases.has(release.id)) this.#releases.set(release.id, release)
        const failed = [...holds, ...this.#holds.values()]
        this.#holds.clear()
        for (const waiting of failed) {
          // No caller waits for it, and it must not get lost.
          if (waiting.hold.keep && !this.#releases.has(waiting.hold.id)) this.#holds.set(waiting.hold.id, waiting)
          else waiting.done.reject(error)
        }
        renewal?.reject(error)
        this.#renewal?.reject(error)
        this.#renewal = undefined
      }
    }
    this.#running = false
    // Callers that were refused may have released their members meanwhile: the retry takes them along.
    if (!isFailing && (this.#holds.size > 0 || this.#releases.size > 0 || this.#renewal)) this.#start()
  }

  #take(): { holds: Waiting[], releases: PresenceRelease[] } {
    const holds: Waiting[] = []
    let length = 0
    for (const waiting of this.#holds.values()) {
      length += waiting.hold.member.length
      if (holds.length === MAX_CHANGES || (holds.length > 0 && length > MAX_LENGTH)) break
      holds.push(waiting)
    }
    for (const { hold } of holds) this.#holds.delete(hold.id)
    const releases = [...this.#releases.values()].slice(0, MAX_CHANGES)
    for (const { id } of releases) this.#releases.delete(id)
    return { holds, releases }
  }
}
