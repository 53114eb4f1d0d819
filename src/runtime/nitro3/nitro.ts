import { getRouteRules } from 'nitro/app'
import { useRuntimeConfig as useNitroConfig } from 'nitro/runtime-config'
import type { SSEHooks } from '../server/insight/hooks'

/** `#sse/nitro` for Nitro 3. */

declare module 'nitro/types' {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  interface NitroRuntimeHooks extends SSEHooks {}
}

/** No variable sets the idle timeout of Nitro 3's server for Bun. */
export const BUN_IDLE_VARIABLE: string | undefined = undefined

/** Options that are always texts, even if the value looks like a number or JSON. */
const TEXTS = ['driver', 'url', 'sentinel', 'sentinelPassword', 'keyPrefix', 'ticketSecret', 'heartbeatText']

/** Parses the texts of the environment, as Nitro 2 does: Nitro 3 leaves them unparsed when it lays them over the configuration. */
export function useRuntimeConfig(): { sse?: unknown } {
  return { sse: readTexts(useNitroConfig().sse) }
}

/** Whether a route rule (`cache`, `swr`) makes Nitro cache the responses of the route with this pattern. */
export function isCachedByRule(pattern: string): boolean {
  return !!getRouteRules('GET', pattern.replaceAll(/:\w+|\*\*/g, '_')).routeRules?.cache
}

function readTexts(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, name === 'headers' ? readHeaders(inner) : TEXTS.includes(name) ? inner : readTexts(inner)]))
  return typeof value === 'string' && /^(?:-?\d+(?:\.\d+)?|true|false)$/.test(value) ? JSON.parse(value) : value
}

/** An object, which the environment holds as JSON. Any other value is refused where options are checked. */
function readHeaders(value: unknown): unknown {
  try {
    return typeof value === 'string' ? JSON.parse(value) : value
  }
  catch {
    return value
  }
}
