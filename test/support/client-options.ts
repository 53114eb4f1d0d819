import * as fallback from '../../src/runtime/client/fallback/with-schemas'
import { resolveClientOptions as resolve } from '../../src/runtime/client/options'
import type { ResolvedClientOptions } from '../../src/runtime/client/options'
import type { Fallback } from '../../src/runtime/client/host'

type Options = Parameters<typeof resolve>[0]

/** Options of a client, with the parts that a page loads on demand. */
export function resolveClientOptions(options: Options = {}, loadFallback = (): Promise<Fallback> => Promise.resolve(fallback)): ResolvedClientOptions {
  return resolve(options, '/', loadFallback)
}
