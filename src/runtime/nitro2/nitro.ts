import type { H3Event } from 'h3'
import { getRouteRules } from 'nitropack/runtime'

/** `#sse/nitro` for Nitro 2 (nitropack). */
export { useRuntimeConfig } from 'nitropack/runtime'

/**
 * Whether a route rule (`cache`, `swr`) has the answers of the route with this pattern kept. Nitro looks for it once, as here, when the
 * server starts. Not of the event's own rules: a request from inside has those of the page that it is for.
 */
export function isCachedByRule(pattern: string): boolean {
  const rules = getRouteRules({ path: pattern.replaceAll(/:\w+|\*\*/g, '_'), context: {} } as unknown as H3Event)
  return !!rules.cache
}
