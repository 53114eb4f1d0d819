import type { KeptRequest, Platform, Pulse, Turns } from './contract'
import { isWorkers, workers } from './workers'

const nothing = () => {}

/** Requests own nothing here: each may use and end the resources of another. */
const ALWAYS_THERE: Pulse = { check: () => 'there', stop: nothing }

// Read from `globalThis`: bundlers replace the plain name with a substitute, for runtimes without it.
const afterTick: Platform['afterTick'] = typeof globalThis.setImmediate === 'function' ? globalThis.setImmediate : task => setTimeout(task, 0)

const TURNS: Turns = { afterTick: task => afterTick(task), callable: task => task, stop: nothing }

/** Key under which Vercel provides the current request: `waitUntil` of its package `@vercel/functions` reads it. */
const VERCEL_REQUEST = Symbol.for('@vercel/request-context')

/** Node, Bun, Deno, and functions that run on them. */
const processPlatform: Platform = {
  afterTick,
  hasBackground: true,
  limits: {},
  sharesRequests: true,
  // Redis answers this many within a few milliseconds. An unreachable part of the store must not delay the rest.
  maxReads: 64,
  maxRepeats: 16,
  newSignal: () => new AbortController(),
  joinable: () => new Map(),
  turns: () => TURNS,
  pulse: () => ALWAYS_THERE,
  timers: make => make(),
  watchAbandoned: () => nothing,
  outliving: () => undefined,

  // Requested from the running process, and not imported: builds for other platforms do not need it.
  get asyncHooks() {
    return globalThis.process?.getBuiltinModule?.('node:async_hooks')
  },

  get diagnostics() {
    return globalThis.process?.getBuiltinModule?.('node:diagnostics_channel')
  },

  recurring(task, ms) {
    let timer: ReturnType<typeof setInterval> | undefined
    return {
      start() {
        if (timer) return
        timer = setInterval(task, ms)
        // Does not keep the process alive. Where `unref` is missing, no timer does.
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
    // Nitro's server for Vercel's functions passes on none: its own collects promises that nothing awaits.
    const vercel = globalThis as { [VERCEL_REQUEST]?: { get?: () => KeptRequest | undefined } }
    vercel[VERCEL_REQUEST]?.get?.()?.waitUntil?.(promise)
  },
}

/** The platform that this process runs on. */
export const platform: Platform = isWorkers() ? workers : processPlatform
