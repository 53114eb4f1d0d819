import type { SSEHooks } from '../insight'
import { useSSEContext } from '../nitro'
import type { SSEStats } from '../stats'
import { readStats } from '../stats'

// Here, because each application's types name this file: an augmentation that no program includes says nothing. An
// application has one of the two.
declare module 'nitropack/types' {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  interface NitroRuntimeHooks extends SSEHooks {}
}
declare module 'nitro/types' {
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
