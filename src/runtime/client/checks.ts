import { delay } from './delay'
import type { ClientHost, Fallback, TransportRequest } from './types'

/** A first stream without a byte for this long is silent. */
const SILENT_MS = 3_000
export interface Checks {
  /** What polling and the checks are made of. Throws a passing error if it cannot be loaded. */
  load(): Promise<Fallback>
  readonly loaded: boolean
  /** Ends the client where a gate redirects its requests to another origin, which only pages are kept from following. */
  gate(life: AbortSignal): void
  /** Asks, for a first stream that is silent, whether the network holds streams back: then polling takes over, else the attempt has longer. */
  network(request: TransportRequest, attempt: AbortController): Promise<void>
  /** Ends the attempt with `SILENCE` where its stream is dead. People look at a page when they return to it: that is not left to heartbeats. */
  stream(attempt: AbortController): void
}

/** What a client asks when something seems to be wrong, with code that is loaded then. What fails meanwhile fails in the next attempt, too, which reports it. */
export function createChecks(host: ClientHost): Checks {
  const { options, state } = host
  const canPoll = options.transports.includes('poll')
  let fallback: Fallback | undefined

  async function load(): Promise<Fallback> {
    return fallback ??= await options.loadFallback()
  }

  function ask(check: (fallback: Fallback) => Promise<void>): void {
    load().then(check).catch(() => {})
  }

  return {
    load,
    get loaded() {
      return !!fallback
    },
    gate(life) {
      if (options.method === 'GET' && globalThis.location) ask(({ findGate }) => findGate(life, host))
    },
    async network(request, attempt) {
      await delay(SILENT_MS, attempt.signal)
      if (request.wait && canPoll) ask(({ probeNetwork }) => probeNetwork(request, attempt, host))
    },
    stream(attempt) {
      const { status, transport, peer } = state()
      const now = Date.now()
      if (status === 'connected' && transport === 'stream' && peer === 'resumable' && canPoll) ask(({ checkStream }) => checkStream(attempt, now, host))
    },
  }
}
