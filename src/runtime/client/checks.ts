import { delay } from './delay'
import type { ClientHost, Fallback, TransportRequest } from './host'

/** A first stream without a byte for this long is silent. */
const SILENT_MS = 3_000

/** Code of one client that is loaded on demand: polling, and the checks that run when something seems wrong. */
export interface Checks {
  /** Loads the code. Rejects with a retryable error if it cannot be loaded. */
  load(): Promise<Fallback>
  readonly loaded: boolean
  /** Runs a check. One that fails is ignored: the next attempt reports the cause. */
  run(check: (fallback: Fallback) => unknown): void
  /** Checks for a silent first stream whether the network buffers streams. If so, polling takes over. If not, the attempt gets more time. */
  network(request: TransportRequest, attempt: AbortController): Promise<void>
}

export function createChecks(host: ClientHost): Checks {
  let fallback: Fallback | undefined

  async function load(): Promise<Fallback> {
    return fallback ??= await host.options.loadFallback()
  }

  function run(check: (fallback: Fallback) => unknown): void {
    load().then(check).catch(() => {})
  }

  return {
    load,
    run,
    get loaded() {
      return !!fallback
    },
    async network(request, attempt) {
      await delay(SILENT_MS, attempt.signal)
      if (request.wait && host.options.transports.includes('poll')) run(({ probeNetwork }) => probeNetwork(request, attempt, host))
    },
  }
}
