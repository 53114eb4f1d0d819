import { createEpoch } from '../../shared/position'
import { outside } from '../lib/async-context'
import { whenAborted } from '../lib/abort'
import { platform } from '../lib/platform/platform'
import { afterTick } from '../lib/tick'
import type { SSEContext } from '../context/context'
import { Crowd, RENEWALS } from './crowd'

/** All presence of one process: a crowd for each name that has a member or a watcher here. */
class Attendance {
  /** Identifies this process to the driver. */
  readonly #holder = createEpoch(16)
  readonly #crowds = new Map<string, Crowd>()
  #rounds = 0
  readonly #renewals: ReturnType<typeof platform.recurring>

  constructor(private readonly context: SSEContext) {
    this.#renewals = platform.recurring(() => this.#renew(), context.options.leaseMs / RENEWALS)
    whenAborted(context.closing, () => this.#close())
  }

  /** Number of names with a member or a watcher. */
  get size(): number {
    return this.#crowds.size
  }

  /** The crowds of all these names. For DevTools. */
  get crowds(): Iterable<Crowd> {
    return this.#crowds.values()
  }

  /** The crowd of a name, if it has a member or a watcher here. */
  find(name: string): Crowd | undefined {
    return this.#crowds.get(name)
  }

  crowd(name: string): Crowd {
    let crowd = this.#crowds.get(name)
    if (!crowd) {
      crowd = outside(() => new Crowd(this.context, name, this.#holder, () => this.#forget(name)))
      this.#crowds.set(name, crowd)
      if (!this.context.closing.aborted) outside(() => this.#renewals.start())
    }
    return crowd
  }

  #renew(): void {
    this.#rounds++
    // Without members of its own, a process only has to notice that those of another are lost.
    for (const crowd of this.#crowds.values()) if (crowd.hasMembers || this.#rounds % RENEWALS === 0) void crowd.renew()
  }

  #forget(name: string): void {
    this.#crowds.delete(name)
    if (this.#crowds.size === 0) this.#renewals.stop()
  }

  /** The clients of all streams are sent away in this turn, each with the time of its return. */
  #close(): void {
    this.#renewals.stop()
    this.context.track(new Promise<void>((resolve) => {
      afterTick(() => void Promise.all([...this.#crowds.values()].map(crowd => crowd.depart())).then(() => resolve()))
    }))
  }
}

const attendances = new WeakMap<SSEContext, Attendance>()

/** The presence of a process. Created on first use: most applications have none. */
export function attendanceOf(context: SSEContext): Attendance {
  let attendance = attendances.get(context)
  if (!attendance) attendances.set(context, attendance = new Attendance(context))
  return attendance
}
