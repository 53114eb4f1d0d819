import { getRouteRules } from 'nitro/app'
import { useRuntimeConfig as useNitroConfig } from 'nitro/runtime-config'
import type { SSEHooks } from '../server/insight/hooks'

/** `#sse/nitro` for Nitro 3. */

declare module 'nitro/types' {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  interface NitroRuntimeHooks extends SSEHooks {}
}

/** Nothing sets the idle limit of its server for Bun. */
export const BUN_IDLE_VARIABLE: string | undefined = undefined

/** Values that are texts by their nature, whatever they look like. */
const TEXTS = ['driver', 'url', 'sentinel', 'sentinelPassword', 'keyPrefix', 'ticketSecret', 'heartbeatText']

/** As Nitro 2 has it: Nitro 3 leaves what the environment lays over the configuration as the text it was. */
export function useRuntimeConfig(): { sse?: unknown } {
  return { sse: readTexts(useNitroConfig().sse) }
}

/** Whether a route rule (`cache`, `swr`) has the answers of the route with this pattern kept. */
export function isCachedByRule(pattern: string): boolean {
  return !!getRouteRules('GET', pattern.replaceAll(/:\w+|\*\*/g, '_')).routeRules?.cache
}

function readTexts(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, name === 'headers' ? readHeaders(inner) : TEXTS.includes(name) ? inner : readTexts(inner)]))
  return typeof value === 'string' && /^(?:-?\d+(?:\.\d+)?|true|false)$/.test(value) ? JSON.parse(value) : value
}

/** An object, which the environment has as JSON. Anything else is refused where options are checked. */
function readHeaders(value: unknown): unknown {
  try {
    return typeof value === 'string' ? JSON.parse(value) : value
  }
  catch {
    return value
  }
}
