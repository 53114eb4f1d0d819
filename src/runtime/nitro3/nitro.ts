import { useRuntimeConfig as useNitroConfig } from 'nitro/runtime-config'
import type { SSEHooks } from '../server/insight'

/** `#sse/nitro` for Nitro 3. */

declare module 'nitro/types' {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  interface NitroRuntimeHooks extends SSEHooks {}
}

/** Nothing sets the idle limit of its server for Bun. */
export const BUN_IDLE_VARIABLE: string | undefined = undefined

/** Values that are texts by their nature, whatever they look like. */
const TEXTS = ['driver', 'url', 'sentinel', 'sentinelPassword', 'keyPrefix', 'ticketSecret']

/** As Nitro 2 has it: Nitro 3 leaves what the environment lays over the configuration as the text it was. */
export function useRuntimeConfig(): { sse?: unknown } {
  return { sse: readTexts(useNitroConfig().sse) }
}

function readTexts(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, TEXTS.includes(name) ? inner : readTexts(inner)]))
  return typeof value === 'string' && /^(?:-?\d+(?:\.\d+)?|true|false)$/.test(value) ? JSON.parse(value) : value
}
