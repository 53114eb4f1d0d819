/** Finding that streams from an origin stay silent, and when to try one again. */
export interface Verdict {
  /** Time of the next probe, in epoch milliseconds. */
  probeAt: number
  /** Wait that led to `probeAt`, in milliseconds. It doubles with each silent probe. */
  probeWaitMs: number
}

/** Verdict that was stored in this browser session. */
export function recallVerdict(url: string): Verdict | undefined {
  return inStorage(url, (storage, key) => {
    const verdict = JSON.parse(storage.getItem(key)!) as Verdict | null
    return verdict && verdict.probeAt + verdict.probeWaitMs > 0 ? verdict : undefined
  })
}

/** Removes the verdict, once a stream from this origin has delivered bytes. */
export function forgetVerdict(url: string): void {
  inStorage(url, (storage, key) => storage.removeItem(key))
}

/** Runs `task` with the session storage and the origin's key. Returns `undefined` where storage is missing, full or forbidden. */
export function inStorage<T>(url: string, task: (storage: Storage, key: string) => T): T | undefined {
  try {
    return task(sessionStorage, `nuxt-sse:${new URL(url, globalThis.location?.href).origin}`)
  }
  catch {
    // Each client then finds out by itself.
  }
}
