import type { ResolvedClientOptions } from './options'
import { passingError } from './response'
import type { Fallback, SSEClientState, TransportRequest } from './types'

/** A stream is looked at when the page wakes, at most once in this time. */
const CHECK_MS = 10_000

/** The client that asks. */
interface Host {
  options: ResolvedClientOptions
  state: () => SSEClientState
  prepare: (signal: AbortSignal) => Promise<TransportRequest>
  close: (change: Partial<SSEClientState>) => void
}

export interface Checks {
  /** What polling and the checks are made of. Throws a passing error if it cannot be loaded. */
  load(): Promise<Fallback>
  readonly loaded: boolean
  /** Ends the client where a gate redirects its requests to another origin, which only pages are kept from following. */
  gate(life: AbortSignal): Promise<void>
  /** Ends the attempt with `SILENCE` where its stream is dead. People look at a page when they return to it: that is not left to heartbeats. */
  stream(attempt: AbortController): Promise<void>
}

/** What a client asks when something seems to be wrong, with code that is loaded then. What fails meanwhile fails in the next attempt, too, which reports it. */
export function createChecks({ options, state, prepare, close }: Host): Checks {
  let fallback: Fallback | undefined
  let checkedAt = 0

  async function load(): Promise<Fallback> {
    return fallback ??= await options.loadFallback()
  }

  return {
    load,
    get loaded() {
      return !!fallback
    },
    async gate(life) {
      if (options.method !== 'GET' || !globalThis.location) return
      const error = await load().then(async ({ findGate }) => findGate(await prepare(life))).catch(() => undefined)
      if (error && !life.aborted) close({ error })
    },
    async stream(attempt) {
      const { status, transport, peer } = state()
      const now = Date.now()
      if (now - checkedAt < CHECK_MS || status !== 'connected' || transport !== 'stream' || peer !== 'resumable' || !options.transports.includes('poll')) return
      checkedAt = now
      const isDead = await load().then(async ({ hasMissed }) => hasMissed(await prepare(attempt.signal), () => state().position)).catch(() => false)
      if (isDead) attempt.abort(passingError('SILENCE', 'The stream fell silent'))
    },
  }
}
