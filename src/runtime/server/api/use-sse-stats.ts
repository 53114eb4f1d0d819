// For its types: in Nitro 3 it tells of the hooks.
import '#sse/nitro'
import type { SSEHooks } from '../insight/hooks'
import { useSSEContext } from '../entry/runtime-context'
import type { SSEStats } from '../context/stats'
import { readStats } from '../context/stats'

// Here, because each application's types name this file: an augmentation that no program includes says nothing.
declare module 'nitropack/types' {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  interface NitroRuntimeHooks extends SSEHooks {}
}

/**
 * What this process has open, and has done since it began, as plain numbers: for a metrics endpoint (docs/insight.md has
 * one for Prometheus), a health check or a log line. A snapshot; asking looks at each open connection once.
 */
export function useSSEStats(): SSEStats {
  return readStats(useSSEContext())
}
