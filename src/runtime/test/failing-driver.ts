import { SSEError, invalidOption } from '../shared/errors'
import { check, oneOf, whole, MAX_TIMER_MS } from '../shared/rules'
import type { Rule } from '../shared/rules'
import { createMemoryDriver } from '../server/drivers/memory/memory'
import type { LogDriver, LogNotice } from '../server/drivers/types'
import { DEFAULT_HANDLER_OPTIONS } from '../server/options'

const METHODS = ['append', 'finish', 'lease', 'presence', 'read', 'subscribe', 'remove'] as const

const DELAY: Rule = {
  test: value => typeof value === 'number' && value >= 0 && value <= MAX_TIMER_MS,
  expected: 'a number of milliseconds, at least 0',
}

/**
 * Methods of a driver that can fail. `append` is called by `publish`, `finish` by `end` and `fail`, `read` and `subscribe` by readers,
 * `read` by `info`, `lease` by `run`, `presence` by `useSSEPresence`, `remove` by `delete`.
 */
export type FailingMethod = typeof METHODS[number]

export interface FailOptions {
  /** Number of calls that fail; later calls work. @default Infinity: until `heal()` */
  times?: number
  /** `code` of the `SSEError`. @default 'DRIVER_UNAVAILABLE': routes respond with a 503, and clients retry */
  code?: string
  /** Delay before the failure, in milliseconds. @default 0 */
  delayMs?: number
  /**
   * Lost part of the call. `request`: the call has no effect. `answer`: the call takes effect, and only its result is lost, as when a
   * connection breaks after the command was sent.
   * @default 'request'
   */
  lost?: 'request' | 'answer'
}

export interface SlowOptions {
  /** Additional delay, in milliseconds. */
  delayMs: number
  /** Number of calls. @default Infinity: until `heal()` */
  times?: number
}

/** Disturbance of a notice to readers. No disturbance may lose a message: readers find it in the log. */
export type NoticeDisturbance = 'drop' | 'double' | 'late'

export interface DisturbOptions {
  /** Number of notices. @default Infinity: until `heal()` */
  times?: number
  /** Delay of a `late` notice, in milliseconds. @default until `heal()` */
  delayMs?: number
}

/** Driver that delegates to the inner driver, except for the planned failures. */
export interface FailingDriver extends LogDriver {
  /** Makes a method, or all of them, fail. Earlier plans apply first. */
  fail(method: FailingMethod | 'all', options?: FailOptions): void
  /** Makes a method, or all of them, slower. */
  slow(method: FailingMethod | 'all', options: SlowOptions): void
  /** Makes notices late, doubled or dropped. Earlier plans apply first. */
  disturb(how: NoticeDisturbance, options?: DisturbOptions): void
  /**
   * Removes all plans. Late notices arrive. Where notices were dropped, readers receive a `changed` notice, as from a real driver that has
   * reconnected.
   */
  heal(): void
  /** Number of calls of each method. */
  readonly calls: Readonly<Record<FailingMethod, number>>
  /** Number of calls that failed by plan. */
  readonly failed: number
}

interface Plan<Options> {
  left: number
  options: Options
}

/**
 * Driver for tests, around the memory driver or your own. Pass it to the application under test in a server plugin: `setSSEDriver(driver)`.
 *
 * ```ts
 * driver.fail('append', { times: 1 })
 * await channel.publish('x')          // rejects with DRIVER_UNAVAILABLE
 * await channel.publish('x')          // works
 * ```
 *
 * `fail`, `slow` and `disturb` throw `INVALID_OPTION` for invalid values.
 *
 * @param inner the driver to wrap. Default: a memory driver with the default retention.
 */
export function createFailingDriver(inner: LogDriver = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)): FailingDriver {
  const calls = Object.fromEntries(METHODS.map(method => [method, 0])) as Record<FailingMethod, number>
  const notices = createNotices()
  let failures: (Plan<FailOptions> & { methods: readonly string[] })[] = []
  let delays: (Plan<SlowOptions> & { methods: readonly string[] })[] = []
  let failed = 0

  /** Generic, so that each method keeps its own type. */
  function guarded<Args extends unknown[], Result>(name: FailingMethod, method: (...args: Args) => Promise<Result>) {
    return async (...args: Args): Promise<Result> => {
      calls[name]++
      const delay = take(delays, ({ methods }) => methods.includes(name))
      const failure = take(failures, ({ methods }) => methods.includes(name))
      const delayMs = (delay?.delayMs ?? 0) + (failure?.delayMs ?? 0)
      if (delayMs) await new Promise(resolve => setTimeout(resolve, delayMs))
      if (failure) {
        failed++
        if (failure.lost === 'answer') await method(...args)
        throw failureOf(name, failure)
      }
      return method(...args)
    }
  }

  return {
    name: inner.name,
    recheckMs: inner.recheckMs,
    recheckMaxMs: inner.recheckMaxMs,
    gate: inner.gate,
    append: guarded('append', inner.append.bind(inner)),
    finish: guarded('finish', inner.finish.bind(inner)),
    lease: inner.lease && guarded('lease', inner.lease.bind(inner)),
    presence: inner.presence && guarded('presence', inner.presence.bind(inner)),
    read: guarded('read', inner.read.bind(inner)),
    subscribe: guarded('subscribe', (channel, listener) => notices.subscribe(inner, channel, listener)),
    remove: guarded('remove', inner.remove.bind(inner)),
    close() {
      notices.close()
      return inner.close()
    },
    fail(method, options = {}) {
      const { lost = 'request', delayMs = 0 } = options
      check('lost', lost, oneOf('request', 'answer'))
      failures.push({ methods: methodsOf(method), left: timesOf(options), options: { ...options, delayMs: durationOf(delayMs) } })
    },
    slow(method, options) {
      delays.push({ methods: methodsOf(method), left: timesOf(options), options: { ...options, delayMs: durationOf(options.delayMs) } })
    },
    disturb: notices.disturb,
    heal() {
      failures = []
      delays = []
      notices.heal()
    },
    calls,
    get failed() {
      return failed
    },
  }
}

/** Uses up one call of the first plan that applies, and returns its options. */
function take<Options, P extends Plan<Options>>(plans: P[], applies: (plan: P) => boolean = () => true): P['options'] | undefined {
  const plan = plans.find(one => one.left > 0 && applies(one))
  if (!plan) return undefined
  plan.left--
  return plan.options
}

function createNotices() {
  interface Subscription {
    listener: (notice: LogNotice) => void
    dropped: boolean
    held: LogNotice[]
    timers: Set<ReturnType<typeof setTimeout>>
  }
  const subscriptions = new Set<Subscription>()
  let plans: (Plan<DisturbOptions> & { how: NoticeDisturbance })[] = []

  function pass(to: Subscription, notice: LogNotice): void {
    const plan = plans.find(({ left }) => left > 0)
    if (!plan) return to.listener(notice)
    plan.left--
    if (plan.how === 'drop') {
      to.dropped = true
    }
    else if (plan.how === 'double') {
      to.listener(notice)
      to.listener(notice)
    }
    else if (plan.options.delayMs === undefined) {
      to.held.push(notice)
    }
    else {
      const timer = setTimeout(() => {
        to.timers.delete(timer)
        to.listener(notice)
      }, plan.options.delayMs)
      to.timers.add(timer)
    }
  }

  function forget(subscription: Subscription): void {
    for (const timer of subscription.timers) clearTimeout(timer)
    subscriptions.delete(subscription)
  }

  return {
    async subscribe(inner: LogDriver, channel: string, listener: (notice: LogNotice) => void): Promise<() => void> {
      const subscription: Subscription = { listener, dropped: false, held: [], timers: new Set() }
      const unsubscribe = await inner.subscribe(channel, notice => pass(subscription, notice))
      subscriptions.add(subscription)
      return () => {
        forget(subscription)
        unsubscribe()
      }
    },
    disturb(how: NoticeDisturbance, options: DisturbOptions = {}): void {
      check('how', how, oneOf('drop', 'double', 'late'))
      if (options.delayMs !== undefined) durationOf(options.delayMs)
      plans.push({ how, left: timesOf(options), options })
    },
    heal(): void {
      plans = []
      for (const subscription of [...subscriptions]) {
        const { held, dropped, listener } = subscription
        subscription.held = []
        subscription.dropped = false
        for (const notice of held) listener(notice)
        if (dropped) listener({ type: 'changed' })
      }
    },
    close(): void {
      for (const subscription of [...subscriptions]) forget(subscription)
    },
  }
}

function failureOf(method: FailingMethod, { code = 'DRIVER_UNAVAILABLE' }: FailOptions): SSEError {
  return new SSEError(code, `The driver cannot be reached: it was told to fail (\`${method}\`).`, { statusCode: code === 'DRIVER_UNAVAILABLE' ? 503 : 500 })
}

function methodsOf(method: FailingMethod | 'all'): readonly FailingMethod[] {
  if (method === 'all') return METHODS
  if (METHODS.includes(method)) return [method]
  throw invalidOption('method', ['all', ...METHODS].map(name => `\`${name}\``).join(', '), method)
}

function timesOf({ times = Infinity }: { times?: number }): number {
  if (times !== Infinity) check('times', times, whole({ from: 1 }))
  return times
}

function durationOf(delayMs: number): number {
  check('delayMs', delayMs, DELAY)
  return delayMs
}
