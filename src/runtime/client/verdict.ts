/** While polling, the stream is tried again after this long, then after twice as long, up to the maximum. */
const PROBE_MIN_MS = 60_000
const PROBE_MAX_MS = 900_000

/** The finding that streams to an origin stay mute, and when one is tried again. */
export interface Verdict {
  /** Epoch milliseconds. */
  probeAt: number
  probeWaitMs: number
}

/** The first, or the next after a stream that is still mute. */
export function nextVerdict(last?: Verdict): Verdict {
  const probeWaitMs = last ? Math.min(last.probeWaitMs * 2, PROBE_MAX_MS) : PROBE_MIN_MS
  return { probeAt: Date.now() + probeWaitMs, probeWaitMs }
}

/** How long until the next probe. A clock that was set back puts it off by no more than its wait. */
export function probeDelayMs({ probeAt, probeWaitMs }: Verdict): number {
  return Math.max(0, Math.min(probeAt - Date.now(), probeWaitMs))
}

/** For the browser session, so that the next page need not find out again. */
export function rememberVerdict(url: string, verdict: Verdict | undefined): void {
  attempt(() => {
    if (verdict) sessionStorage.setItem(keyOf(url), JSON.stringify(verdict))
    else sessionStorage.removeItem(keyOf(url))
  })
}

export function recallVerdict(url: string): Verdict | undefined {
  return attempt(() => {
    const verdict = JSON.parse(sessionStorage.getItem(keyOf(url))!) as Verdict | null
    return verdict && verdict.probeAt + verdict.probeWaitMs > 0 ? verdict : undefined
  })
}

function keyOf(url: string): string {
  return `nuxt-sse:${new URL(url, globalThis.location?.href).origin}`
}

/** There may be no storage, or one that is full or forbidden. */
function attempt<T>(task: () => T): T | undefined {
  try {
    return task()
  }
  catch {
    // Then it is not remembered.
  }
}
