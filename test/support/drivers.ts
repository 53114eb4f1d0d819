import type { LogDriver, LogNotice } from '../../src/runtime/server/drivers/types'
import type { Random } from './random'
import { turns } from './random'

export interface ChaosDriver extends LogDriver {
  /** Delivers what was held back, in any order; then says `changed`, as a driver does after it was cut off. */
  settle(): void
  /** Delivers some of what was held back, in any order. */
  deliver(): void
}

/**
 * A driver whose connection is bad, over a real one: notices come late, twice, out of order or never, and every answer
 * takes its time. Nothing of it is against the contract.
 */
export function chaosDriver(inner: LogDriver, random: Random): ChaosDriver {
  const listeners = new Map<object, (notice: LogNotice) => void>()
  let held: { to: object, notice: LogNotice }[] = []

  const deliverTo = (to: object, notice: LogNotice) => listeners.get(to)?.(notice)
  const slowly = async <T>(run: () => Promise<T>): Promise<T> => {
    // The answer may be older than its arrival, and the question younger than its departure.
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
        // What is on its way arrives all the same.
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
