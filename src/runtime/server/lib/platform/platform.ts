import type { KeptRequest, Platform, Pulse, Recurring, Turns } from './contract'
import { isWorkers, workers } from './workers'

const nothing = () => {}

/** A request owns nothing here: what one begins, others may use and end. */
const ALWAYS_THERE: Pulse = { feel: () => 'there', stop: nothing }

// Not as a name of its own: bundlers put a stand-in there for runtimes that have none.
const afterTick: Platform['afterTick'] = typeof globalThis.setImmediate === 'function' ? globalThis.setImmediate : task => setTimeout(task, 0)

const TURNS: Turns = { afterTick: task => afterTick(task), callable: task => task, stop: nothing }

class Interval implements Recurring {
  #timer?: ReturnType<typeof setInterval>

  constructor(private readonly task: () => void, private readonly ms: number) {}

  /** Keeps no process alive; a timer without `unref` never does. */
  start(): void {
    if (this.#timer !== undefined) return
    this.#timer = setInterval(this.task, this.ms)
    this.#timer.unref?.()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** By this name Vercel says of which request one is a part: it is what `waitUntil` of its package `@vercel/functions` looks at. */
const VERCEL_REQUEST = Symbol.for('@vercel/request-context')

/** Node, Bun, Deno, and functions that run on them. */
const processPlatform: Platform = {
  afterTick,
  // Requested from the running process, and not imported: other platforms need nothing of it in their builds.
  asyncHooks: globalThis.process?.getBuiltinModule?.('node:async_hooks'),
  limits: {},
  // As many as Redis answers within a few milliseconds. A part of the store that is away must not hold up the rest.
  maxReads: 64,
  maxRepeats: 16,
  newSignal: () => new AbortController(),
  joinable: () => new Map(),
  turns: () => TURNS,
  pulse: () => ALWAYS_THERE,
  timers: make => make(),
  recurring: (task, ms) => new Interval(task, ms),
  watchAbandoned: () => nothing,
  outliving: nothing as () => undefined,

  keepAlive(event, promise) {
    if (!event) return
    event.waitUntil?.(promise)
    // Nitro's server for Vercel's functions hands on none: its own is a list that nobody looks at.
    const vercel = globalThis as { [VERCEL_REQUEST]?: { get?: () => KeptRequest | undefined } }
    vercel[VERCEL_REQUEST]?.get?.()?.waitUntil?.(promise)
  },
}

/** The platform that this runs on: the only place that asks which it is. */
export const platform: Platform = isWorkers() ? workers : processPlatform
