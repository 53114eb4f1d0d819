import type { H3Event } from 'h3'
import { getRouteRules } from 'nitropack/runtime'

/** `#sse/nitro` for Nitro 2 (nitropack). */
export { useRuntimeConfig } from 'nitropack/runtime'

/** What its server for Bun takes as the idle limit, in seconds. */
export const BUN_IDLE_VARIABLE: string | undefined = 'NITRO_BUN_IDLE_TIMEOUT'

/**
 * Whether a route rule (`cache`, `swr`) has Nitro cache the answers of the route with this pattern. Nitro decides that once, like this, when the
 * server starts. The event's own rules would not do: a request from inside has those of the page that it is for.
 */
export function isCachedByRule(pattern: string): boolean {
  const rules = getRouteRules({ path: pattern.replaceAll(/:\w+|\*\*/g, '_'), context: {} } as unknown as H3Event)
  return !!rules.cache
}
