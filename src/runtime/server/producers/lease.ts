import { SSEError } from '../../shared/errors'
import { SECRET_LENGTH, createEpoch } from '../../shared/position'
import { aborted, whenAborted } from '../lib/abort'
import { channelEnded, leaseLost } from '../drivers/errors'
import type { LeasingDriver } from '../drivers/capabilities'
import type { LeaseAnswer, LogOnLost, LogState } from '../drivers/types'
import type { SSERetention } from '../options'
import { OwnTask } from '../lib/own-task'
import { pause, processTimeout } from '../lib/tick'

/** How often a lease is renewed in its duration. */
const RENEWALS = 3
/** How long until a driver that could not be reached is asked again. */
const RETRY_MS = 200
/** How much later than due we look, as the driver's clock is not ours. */
const LATE_MS = 10

export interface LeaseInit {
  driver: LeasingDriver
  channel: string
  retention: SSERetention
  leaseMs: number
  onLost: LogOnLost
  /** The producer is stopped when nobody has read for so long, in milliseconds. `false`: it needs no reader. */
  unreadMs: number | false
}

/** A lease of this process: renewed until it is closed, or lost. */
export class Lease {
  /** Nobody may guess it: whoever has it may append. */
  readonly token = createEpoch(SECRET_LENGTH)
  /** Called once, with what the producer must end with: it was stopped, or has lost the lease, or the channel has ended. */
  onOver: (reason: SSEError) => void = () => {}
  /** Whether it was renewed: until then it counts as never taken once it has run out. */
  used = false
  #heldUntil = 0
  /** Since when the driver can be reached again; `undefined` while it cannot. Until then readers could not say that they read, either. */
  #reachedAt?: number = -Infinity
  #timer?: ReturnType<typeof setTimeout>
  #unsubscribe?: () => void
  #subscribing = false
  /** Whoever stops it may be another request. */
  #hearing?: OwnTask
  #renewing?: Promise<boolean | undefined>
  #closed = false
  #told = false

  constructor(private readonly init: LeaseInit) {}

  get onLost(): LogOnLost {
    return this.init.onLost
  }

  /**
   * Asks for the lease once, and keeps it if it is given. Rejects when the driver cannot be reached; asking again is safe. An answer
   * that never arrives costs others one lease and no more: the lease is tentative until the first renewal, which follows at once.
   */
  async acquire(anew: boolean, epoch?: string): Promise<LeaseAnswer> {
    const { driver, channel, retention, leaseMs, onLost } = this.init
    const askedAt = performance.now()
    const answer = await driver.lease(channel, { type: 'acquire', token: this.token, leaseMs, onLost, anew, epoch, tentative: true }, retention)
    if (answer.held) {
      this.#heldUntil = askedAt + leaseMs
      this.#renewIn(leaseMs / RENEWALS)
      void this.#listen()
    }
    return answer
  }

  /** Renews it now. Resolves with whether it is held, or with `undefined` when the driver could not be asked. */
  renew(): Promise<boolean | undefined> {
    return this.#renewing ??= this.#renew().finally(() => this.#renewing = undefined)
  }

  /** Gives it back: another process may have it at once. */
  async release(): Promise<void> {
    const { driver, channel, retention } = this.init
    await driver.lease(channel, { type: 'release', token: this.token }, retention)
  }

  /** Stops renewing it. */
  close(): void {
    this.abandon()
    clearTimeout(this.#timer)
    this.#hearing?.stop()
  }

  /** The same where the request is gone that has it: nothing of that can be stopped any more. */
  abandon(): void {
    this.#closed = true
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }

  async #renew(): Promise<boolean | undefined> {
    const { driver, channel, retention, leaseMs, onLost, unreadMs } = this.init
    clearTimeout(this.#timer)
    if (this.#closed) return false
    const askedAt = performance.now()
    // Somebody else may hold it by now, and what goes on here would be done twice. A process that was paused finds out here.
    if (askedAt >= this.#heldUntil) return this.#over(leaseLost(channel))
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
    // Closed meanwhile: whoever has closed it needs no reason.
    if (this.#closed) return held
    if (!held) {
      return this.#over(state?.closing && state.closing.error?.code !== 'PRODUCER_LOST' ? channelEnded(channel) : leaseLost(channel))
    }
    this.#heldUntil = askedAt + leaseMs
    this.used = true
    void this.#listen()
    const { stopping, unreadMs: unread } = state!.lease!
    this.#reachedAt ??= performance.now()
    const windowMs = unreadMs === false ? Infinity : unreadMs - Math.min(unread, performance.now() - this.#reachedAt)
    if (stopping || windowMs <= 0) this.#tell(aborted())
    this.#renewIn(Math.min(leaseMs / RENEWALS, windowMs <= 0 ? Infinity : windowMs + LATE_MS))
    return true
  }

  #renewIn(ms: number): void {
    clearTimeout(this.#timer)
    if (!this.#closed) this.#timer = processTimeout(() => void this.renew(), ms)
  }

  #over(reason: SSEError): false {
    this.close()
    this.#tell(reason)
    return false
  }

  /** The first reason stands: a producer that was asked to stop, and takes its time, is not asked again with each renewal. */
  #tell(reason: SSEError): void {
    if (this.#told) return
    this.#told = true
    this.onOver(reason)
  }

  /** To be told at once when somebody stops it. A failed subscription is tried again with the next renewal, which would be told as well. */
  async #listen(): Promise<void> {
    if (this.#unsubscribe || this.#subscribing) return
    this.#subscribing = true
    const hearing = this.#hearing ??= new OwnTask(() => void this.#hear())
    try {
      const unsubscribe = await this.init.driver.subscribe(this.init.channel, ({ type }) => {
        if (type === 'changed' && !hearing.run()) unsubscribe()
      })
      if (this.#closed) return unsubscribe()
      this.#unsubscribe = unsubscribe
      // For what was said before.
      void this.#hear()
    }
    catch {
      // Away already: the renewals will find out.
    }
    finally {
      this.#subscribing = false
    }
  }

  /** Looks what has changed, with a renewal that begins after the notice. */
  async #hear(): Promise<void> {
    await this.#renewing
    if (!this.#closed) void this.renew()
  }
}

/**
 * Looks at the state of a channel whenever its lease may have changed hands, or be over, until `enough` says so or `signal`
 * aborts. A driver that cannot be reached is asked again.
 */
export async function watchLease(driver: LeasingDriver, channel: string, retention: SSERetention, enough: (state: LogState | undefined) => boolean | Promise<boolean>, signal: AbortSignal): Promise<void> {
  let unsubscribe: (() => void) | undefined
  let news = new AbortController()
  const onLeave = () => news.abort()
  const release = whenAborted(signal, onLeave)
  const hearing = new OwnTask(onLeave)
  try {
    while (!signal.aborted) {
      let waitMs = RETRY_MS
      try {
        // Before anything can fail: waiting on a signal that is aborted already would be a busy loop.
        news = new AbortController()
        unsubscribe ??= await driver.subscribe(channel, ({ type }) => type === 'changed' && !hearing.run() && unsubscribe?.())
        const { state } = await driver.lease(channel, { type: 'look' }, retention)
        if (await enough(state)) return
        waitMs = Math.min(untilItMatters(state), driver.recheckMs ?? Infinity)
      }
      catch (error) {
        // Of a driver that was closed, `signal` tells.
        if (!(error instanceof SSEError && (error.code === 'DRIVER_UNAVAILABLE' || error.code === 'SHUTTING_DOWN'))) throw error
      }
      if (!signal.aborted) await pause(waitMs, news.signal)
    }
  }
  finally {
    release()
    unsubscribe?.()
    hearing.stop()
  }
}

/** When to look again although nobody has said anything. */
function untilItMatters(state: LogState | undefined): number {
  const { leftMs, lostInMs } = state?.lease ?? { leftMs: 0, lostInMs: 0 }
  const dueMs = leftMs > 0 ? leftMs : lostInMs
  return dueMs > 0 ? dueMs + LATE_MS : RETRY_MS
}
