/** A request under way, as far as it can be asked to live on. */
export interface KeptRequest {
  waitUntil?: (promise: Promise<unknown>) => void
}

/** By this name Vercel says of which request one is a part: it is what `waitUntil` of its package `@vercel/functions` looks at. */
const VERCEL_REQUEST = Symbol.for('@vercel/request-context')

/**
 * Has the platform keep the request alive until `promise` is settled, for as long as it allows: without, it may freeze or cancel what goes on
 * behind the response. Nothing without a request. Call it while that is under way.
 */
export function keepAlive(event: KeptRequest | undefined, promise: Promise<unknown>): void {
  if (!event) return
  event.waitUntil?.(promise)
  // Nitro's server for Vercel's functions hands on none: its own is a list that nobody looks at.
  const vercel = globalThis as { [VERCEL_REQUEST]?: { get?: () => KeptRequest | undefined } }
  vercel[VERCEL_REQUEST]?.get?.()?.waitUntil?.(promise)
}
