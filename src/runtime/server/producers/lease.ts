import { SSEError } from '../../shared/errors'
import { SECRET_LENGTH, createEpoch } from '../../shared/position'
import { aborted, whenAborted } from '../lib/abort'
import { channelEnded, leaseLost } from '../drivers/errors'
import type { LeasingDriver } from '../drivers/capabilities'
import type { LeaseAnswer, LogOnLost, LogState } from '../drivers/types'
import type { SSERetention } from '../options'
import { RequestTask } from '../lib/request-task'
import { pause, processTimeout } from '../lib/tick'

/** Renewals of a lease within its duration. */
const RENEWALS = 3
/** Milliseconds until a request to an unreachable driver is retried. */
const RETRY_MS = 200
/** Milliseconds after the due time at which to look, as the driver's clock differs from ours. */
const LATE_MS = 10

export interface LeaseInit {
  driver: LeasingDriver
  channel: string
  retention: SSERetention
  leaseMs: number
  onLost: LogOnLost
  /** Milliseconds without a reader after which the producer is stopped. `false`: it needs no reader. */
  unreadMs: number | false
}

/** Lease of this process: renewed until it is closed or lost. */
export class Lease {
  /** Secret: its holder may append. */
  readonly token = createEpoch(SECRET_LENGTH)
  /** Called once, with the reason why the producer must stop: it was stopped, the lease was lost, or the channel has ended. */
  onStop: (reason: SSEError) => void = () => {}
  /** Whether it was renewed. A lease that expires before that counts as never acquired. */
  used = false
  #heldUntil = 0
  /** Time since which the driver can be reached; `undefined` during an outage, when readers cannot report their presence either. */
  #reachedAt?: number = -Infinity
  #timer?: ReturnType<typeof setTimeout>
  #unsubscribe?: () => void
  #subscribing = false
  /** The notice of a stop may arrive in another request. */
  #noticeTask?: RequestTask
  #renewing?: Promise<boolean | undefined>
  #closed = false
  #stopped = false

  constructor(private readonly init: LeaseInit) {}

  get onLost(): LogOnLost {
    return this.init.onLost
  }

  /**
   * Requests the lease once, and renews it if it is granted. Rejects when the driver cannot be reached; a retry is safe. If the answer is
   * lost, other processes wait for one duration of a lease at most: the lease is tentative until its first renewal, which follows at once.
   */
  async acquire(restart: boolean, epoch?: string): Promise<LeaseAnswer> {
    const { driver, channel, retention, leaseMs, onLost } = this.init
    const requestedAt = performance.now()
    const answer = await driver.lease(channel, { type: 'acquire', token: this.token, leaseMs, onLost, anew: restart, epoch, tentative: true }, retention)
    if (answer.held) {
      this.#heldUntil = requestedAt + leaseMs
      this.#renewIn(leaseMs / RENEWALS)
      void this.#subscribe()
    }
    return answer
  }

  /** Renews it now. Resolves with whether it is held, or with `undefined` when the driver cannot be reached. */
  renew(): Promise<boolean | undefined> {
    return this.#renewing ??= this.#renew().finally(() => this.#renewing = undefined)
  }

  /** Releases it: another process may acquire it at once. */
  async release(): Promise<void> {
    const { driver, channel, retention } = this.init
    await driver.lease(channel, { type: 'release', token: this.token }, retention)
  }

  /** Stops its renewal. */
  close(): void {
    this.abandon()
    clearTimeout(this.#timer)
    this.#noticeTask?.stop()
  }

  /** Stops its renewal after the request that holds it was cancelled. Timers of that request can no longer be stopped. */
  abandon(): void {
    this.#closed = true
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }

  async #renew(): Promise<boolean | undefined> {
    const { driver, channel, retention, leaseMs, onLost, unreadMs } = this.init
    clearTimeout(this.#timer)
    if (this.#closed) return false
    const requestedAt = performance.now()
    // Another process may hold it by now, and would do the same work. A process that was paused notices here.
    if (requestedAt >= this.#heldUntil) return this.#end(leaseLost(channel))
    let answer: LeaseAnswer
    try {
      answer = await driver.lease(channel, { type: 'renew', token: this.token, leaseMs, onLost }, retention)
    }
    catch {
      this.#reachedAt = undefined
      this.#renewIn(Math.min(RETRY_MS, Math.max(0, this.#heldUntil - performance.now())))
      return undefined
    }
    const { held, state } = answer
    // Closed meanwhile: its owner needs no reason.
    if (this.#closed) return held
    if (!held) {
      return this.#end(state?.closing && state.closing.error?.code !== 'PRODUCER_LOST' ? channelEnded(channel) : leaseLost(channel))
    }
    this.#heldUntil = requestedAt + leaseMs
    this.used = true
    void this.#subscribe()
    const { stopping, unreadMs: unread } = state!.lease!
    this.#reachedAt ??= performance.now()
    const windowMs = unreadMs === false ? Infinity : unreadMs - Math.min(unread, performance.now() - this.#reachedAt)
    if (stopping || windowMs <= 0) this.#stopWith(aborted())
    this.#renewIn(Math.min(leaseMs / RENEWALS, windowMs <= 0 ? Infinity : windowMs + LATE_MS))
    return true
  }

  #renewIn(ms: number): void {
    clearTimeout(this.#timer)
    if (!this.#closed) this.#timer = processTimeout(() => void this.renew(), ms)
  }

  #end(reason: SSEError): false {
    this.close()
    this.#stopWith(reason)
    return false
  }

  /** Reports the first reason only: a producer that is slow to stop is not stopped again with each renewal. */
  #stopWith(reason: SSEError): void {
    if (this.#stopped) return
    this.#stopped = true
    this.onStop(reason)
  }

  /**
   * Subscribes to the channel, to notice a stop at once. A failed subscription is retried with the next renewal, which would notice the
   * stop as well.
   */
  async #subscribe(): Promise<void> {
    if (this.#unsubscribe || this.#subscribing) return
    this.#subscribing = true
    const noticeTask = this.#noticeTask ??= new RequestTask(() => void this.#onNotice())
    try {
      const unsubscribe = await this.init.driver.subscribe(this.init.channel, ({ type }) => {
        if (type === 'changed' && !noticeTask.trigger()) unsubscribe()
      })
      if (this.#closed) return unsubscribe()
      this.#unsubscribe = unsubscribe
      // Covers changes before the subscription.
      void this.#onNotice()
    }
    catch {
      // The driver cannot be reached: the renewals notice that.
    }
    finally {
      this.#subscribing = false
    }
  }

  /** Checks the lease, with a renewal that begins after the notice. */
  async #onNotice(): Promise<void> {
    await this.#renewing
    if (!this.#closed) void this.renew()
  }
}

/**
 * Checks the state of a channel whenever its lease may have changed hands or ended, until `isDone` returns `true` or `signal` aborts.
 * Retries while the driver cannot be reached.
 */
export async function watchLease(driver: LeasingDriver, channel: string, retention: SSERetention, isDone: (state: LogState | undefined) => boolean | Promise<boolean>, signal: AbortSignal): Promise<void> {
  let unsubscribe: (() => void) | undefined
  let news = new AbortController()
  const onLeave = () => news.abort()
  const release = whenAborted(signal, onLeave)
  const noticeTask = new RequestTask(onLeave)
  try {
    while (!signal.aborted) {
      let waitMs = RETRY_MS
      try {
        // Set before any failure: a pause on an aborted signal would be a busy loop.
        news = new AbortController()
        unsubscribe ??= await driver.subscribe(channel, ({ type }) => type === 'changed' && !noticeTask.trigger() && unsubscribe?.())
        const { state } = await driver.lease(channel, { type: 'look' }, retention)
        if (await isDone(state)) return
        waitMs = Math.min(nextCheckMs(state), driver.recheckMs ?? Infinity)
      }
      catch (error) {
        // If the driver was closed, `signal` aborts.
        if (!(error instanceof SSEError && (error.code === 'DRIVER_UNAVAILABLE' || error.code === 'SHUTTING_DOWN'))) throw error
      }
      if (!signal.aborted) await pause(waitMs, news.signal)
    }
  }
  finally {
    release()
    unsubscribe?.()
    noticeTask.stop()
  }
}

/** Milliseconds until the next check without a notice. */
function nextCheckMs(state: LogState | undefined): number {
  const { leftMs, lostInMs } = state?.lease ?? { leftMs: 0, lostInMs: 0 }
  const dueMs = leftMs > 0 ? leftMs : lostInMs
  return dueMs > 0 ? dueMs + LATE_MS : RETRY_MS
}
