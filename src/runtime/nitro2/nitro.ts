import type { H3Event } from 'h3'
import { getRouteRules } from 'nitropack/runtime'

/** `#sse/nitro` for Nitro 2 (nitropack). */
export { useRuntimeConfig } from 'nitropack/runtime'

/** Variable that sets the idle timeout of Nitro's server for Bun, in seconds. */
export const BUN_IDLE_VARIABLE: string | undefined = 'NITRO_BUN_IDLE_TIMEOUT'

/**
 * Whether a route rule (`cache`, `swr`) makes Nitro cache the responses of the route with this pattern. Nitro decides that once per
 * pattern, by the same lookup, when the server starts. The event's own rules are unsuitable: an internal request has the rules of the page
 * that it serves.
 */
export function isCachedByRule(pattern: string): boolean {
  const rules = getRouteRules({ path: pattern.replaceAll(/:\w+|\*\*/g, '_'), context: {} } as unknown as H3Event)
  return !!rules.cache
}
