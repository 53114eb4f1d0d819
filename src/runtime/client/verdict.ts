/** The finding that streams from an origin stay silent, and when one is tried again. */
export interface Verdict {
  /** Epoch milliseconds. */
  probeAt: number
  probeWaitMs: number
}

/** What `rememberVerdict` stored in this browser session. */
export function recallVerdict(url: string): Verdict | undefined {
  return inStorage(url, (storage, key) => {
    const verdict = JSON.parse(storage.getItem(key)!) as Verdict | null
    return verdict && verdict.probeAt + verdict.probeWaitMs > 0 ? verdict : undefined
  })
}

/** A stream from this origin has given bytes. */
export function forgetVerdict(url: string): void {
  inStorage(url, (storage, key) => storage.removeItem(key))
}

/** Nothing is remembered where there is no storage, or one that is full or forbidden. */
export function inStorage<T>(url: string, task: (storage: Storage, key: string) => T): T | undefined {
  try {
    return task(sessionStorage, `nuxt-sse:${new URL(url, globalThis.location?.href).origin}`)
  }
  catch {
    // Then each client finds out by itself.
  }
}
