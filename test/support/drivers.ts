import { createMemoryDriver } from '../../src/runtime/server/drivers/memory/memory'
import type { LogDriver, LogNotice } from '../../src/runtime/server/drivers/types'
import { DEFAULT_HANDLER_OPTIONS } from '../../src/runtime/server/options'
import type { Random } from './random'
import { turns } from './random'

export interface WatchedDriver extends LogDriver {
  /** Calls of `read`. */
  reads: number
  /** Number of entries that reads have returned. */
  entriesRead: number
  /** Calls of `subscribe`. */
  subscribed: number
  /** Open subscriptions. */
  readonly listening: number
  /** Makes new reads wait. */
  hold(): void
  release(): void
  /** Gives a notice to all subscriptions. */
  notify(notice: LogNotice): void
}

/** Counts the requests to a driver, and gives the test control of its reads and, with `mute`, of its notices. */
export function watchedDriver(inner: LogDriver = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention), { mute = false } = {}): WatchedDriver {
  const listeners = new Map<object, (notice: LogNotice) => void>()
  let gate: PromiseWithResolvers<void> | undefined
  const driver: WatchedDriver = {
    ...inner,
    reads: 0,
    entriesRead: 0,
    subscribed: 0,
    get listening() {
      return listeners.size
    },
    async read(...args) {
      driver.reads++
      await gate?.promise
      const page = await inner.read(...args)
      driver.entriesRead += page.entries.length
      return page
    },
    async subscribe(channel, listener) {
      driver.subscribed++
      await turns(1)
      const unsubscribe = mute ? () => {} : await inner.subscribe(channel, listener)
      const key = {}
      listeners.set(key, listener)
      return () => {
        listeners.delete(key)
        unsubscribe()
      }
    },
    hold: () => void (gate = Promise.withResolvers()),
    release: () => gate?.resolve(),
    notify(notice) {
      for (const listener of listeners.values()) listener(notice)
    },
  }
  return driver
}

export interface ChaosDriver extends LogDriver {
  /** Delivers the held notices in any order, and then `changed`, as a driver does after an outage. */
  settle(): void
  /** Delivers some of the held notices, in any order. */
  deliver(): void
}

/**
 * A driver with a bad connection, over a real one: notices arrive late, twice, out of order or never, and every answer
 * takes time. The contract of drivers permits all of it.
 */
export function chaosDriver(inner: LogDriver, random: Random): ChaosDriver {
  const listeners = new Map<object, (notice: LogNotice) => void>()
  let held: { to: object, notice: LogNotice }[] = []

  const deliverTo = (to: object, notice: LogNotice) => listeners.get(to)?.(notice)
  const slowly = async <T>(run: () => Promise<T>): Promise<T> => {
    // The driver may read later than the call, and its answer may arrive later still.
    if (random.chance(0.5)) await turns(random.int(3), random.int(4))
    const result = await run()
    if (random.chance(0.5)) await turns(random.int(3), random.int(4))
    return result
  }
  function hold(to: object, notice: LogNotice): void {
    switch (random.int(6)) {
      case 0: return
      case 1:
        deliverTo(to, notice)
        held.push({ to, notice })
        return
      case 2:
        held.push({ to, notice })
        return
      // One message of a batch may arrive alone.
      case 3:
        if (notice.type === 'append') for (const entry of random.shuffle(notice.entries)) deliverTo(to, { ...notice, entries: [entry] })
        else deliverTo(to, notice)
        return
      default: deliverTo(to, notice)
    }
  }

  const driver: ChaosDriver = {
    ...inner,
    append: (channel, entries, retention, writer) => inner.append(channel, entries, retention, writer),
    read: (channel, after, limit) => slowly(() => inner.read(channel, after, limit.messages === 0 || random.chance(0.5) ? limit : { ...limit, messages: 1 + random.int(3) })),
    subscribe: (channel, listener) => slowly(async () => {
      const key = {}
      listeners.set(key, listener)
      const unsubscribe = await inner.subscribe(channel, notice => hold(key, notice))
      return () => {
        unsubscribe()
        // Notices in flight still arrive.
        if (random.chance(0.5)) listeners.delete(key)
      }
    }),
    deliver() {
      const now = held
      held = []
      for (const { to, notice } of random.shuffle(now)) {
        if (random.chance(0.5)) deliverTo(to, notice)
        else held.push({ to, notice })
      }
    },
    settle() {
      for (const { to, notice } of random.shuffle(held)) deliverTo(to, notice)
      held = []
      for (const to of [...listeners.keys()]) deliverTo(to, { type: 'changed' })
    },
  }
  return driver
}
