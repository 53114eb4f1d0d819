/** Web Locks are only in secure contexts, and not in old browsers. */
export function canElect(): boolean {
  return !!globalThis.navigator?.locks && !!globalThis.BroadcastChannel
}
