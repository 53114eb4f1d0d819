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
 * Counts of what this process has open, and has done since it began, as plain numbers: for a metrics endpoint (docs/operate/monitoring.md has one for
 * Prometheus), a health check or a log line. The result is a snapshot; each call visits each open connection once.
 */
export function useSSEStats(): SSEStats {
  return readStats(useSSEContext())
}
