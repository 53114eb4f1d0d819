// Imported for its types: in Nitro 3 it declares the hooks.
import '#sse/nitro'
import type { SSEHooks } from '../insight/hooks'
import { useSSEContext } from '../entry/runtime-context'
import type { SSEStats } from '../context/stats'
import { readStats } from '../context/stats'

// Declared here because each application's types name this file: an augmentation in a file that no program includes has no effect.
declare module 'nitropack/types' {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  interface NitroRuntimeHooks extends SSEHooks {}
}

/**
 * Open resources and totals of this process, as plain numbers: for a health check or a log line. `defineSSEMetricsHandler` is a route with them for
 * Prometheus. The result is a snapshot; each call visits each open connection once.
 */
export function useSSEStats(): SSEStats {
  return readStats(useSSEContext())
}
