import { delay } from './delay'
import type { ClientHost, Fallback, TransportRequest } from './host'

/** A first stream without a byte for this long is silent. */
const SILENT_MS = 3_000

/** Checks of one client. */
export interface Checks {
  /** Loads the code of polling and of the checks. Rejects with a retryable error if it cannot be loaded. */
  load(): Promise<Fallback>
  readonly loaded: boolean
  /** Ends the client where a gate redirects its requests to another origin. For pages only: elsewhere `fetch` follows the redirect. */
  gate(session: AbortSignal): void
  /** Checks for a silent first stream whether the network buffers streams. If so, polling takes over. If not, the attempt gets more time. */
  network(request: TransportRequest, attempt: AbortController): Promise<void>
  /**
   * Ends the attempt with `SILENCE` if its stream is dead. Users look at a page when they return to it, so this does not wait for heartbeats.
   */
  stream(attempt: AbortController): void
}

/**
 * Checks that run when something seems wrong, with code that is loaded on demand. A check that fails is ignored: the next attempt reports the
 * cause.
 */
export function createChecks(host: ClientHost): Checks {
  const { options, state } = host
  const canPoll = options.transports.includes('poll')
  let fallback: Fallback | undefined

  async function load(): Promise<Fallback> {
    return fallback ??= await options.loadFallback()
  }

  function run(check: (fallback: Fallback) => Promise<void>): void {
    load().then(check).catch(() => {})
  }

  return {
    load,
    get loaded() {
      return !!fallback
    },
    gate(session) {
      if (options.method === 'GET' && globalThis.location) run(({ findGate }) => findGate(session, host))
    },
    async network(request, attempt) {
      await delay(SILENT_MS, attempt.signal)
      if (request.wait && canPoll) run(({ probeNetwork }) => probeNetwork(request, attempt, host))
    },
    stream(attempt) {
      const { status, transport, peer } = state()
      const now = Date.now()
      if (status === 'connected' && transport === 'stream' && peer === 'resumable' && canPoll) run(({ checkStream }) => checkStream(attempt, now, host))
    },
  }
}
