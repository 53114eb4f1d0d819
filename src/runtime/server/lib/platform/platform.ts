import type { KeptRequest, Platform, Pulse, Turns } from './contract'
import { isWorkers, workers } from './workers'

const nothing = () => {}

/** Requests own nothing here: each may use and end what another has begun. */
const ALWAYS_THERE: Pulse = { feel: () => 'there', stop: nothing }

// Not as a name of its own: bundlers put a stand-in there for runtimes that have none.
const afterTick: Platform['afterTick'] = typeof globalThis.setImmediate === 'function' ? globalThis.setImmediate : task => setTimeout(task, 0)

const TURNS: Turns = { afterTick: task => afterTick(task), callable: task => task, stop: nothing }

/** By this name Vercel says of which request one is a part: it is what `waitUntil` of its package `@vercel/functions` looks at. */
const VERCEL_REQUEST = Symbol.for('@vercel/request-context')

/** Node, Bun, Deno, and functions that run on them. */
const processPlatform: Platform = {
  afterTick,
  hasBackground: true,
  limits: {},
  // As many as Redis answers within a few milliseconds. A part of the store that is away must not hold up the rest.
  maxReads: 64,
  maxRepeats: 16,
  newSignal: () => new AbortController(),
  joinable: () => new Map(),
  turns: () => TURNS,
  pulse: () => ALWAYS_THERE,
  timers: make => make(),
  watchAbandoned: () => nothing,
  outliving: () => undefined,

  // Requested from the running process, and not imported: other platforms need nothing of it in their builds.
  get asyncHooks() {
    return globalThis.process?.getBuiltinModule?.('node:async_hooks')
  },

  recurring(task, ms) {
    let timer: ReturnType<typeof setInterval> | undefined
    return {
      start() {
        if (timer) return
        timer = setInterval(task, ms)
        // It must not keep a process alive. Where there is no `unref`, no timer does.
        timer.unref?.()
      },
      stop() {
        clearInterval(timer)
        timer = undefined
      },
    }
  },

  keepAlive(event, promise) {
    if (!event) return
    event.waitUntil?.(promise)
    // Nitro's server for Vercel's functions hands on none: its own is a list that nobody looks at.
    const vercel = globalThis as { [VERCEL_REQUEST]?: { get?: () => KeptRequest | undefined } }
    vercel[VERCEL_REQUEST]?.get?.()?.waitUntil?.(promise)
  },
}

/** The platform that this process runs on. */
export const platform: Platform = isWorkers() ? workers : processPlatform
