import * as fallback from '../../src/runtime/client/fallback/with-schemas'
import { resolveClientOptions as resolve } from '../../src/runtime/client/options'
import type { ResolvedClientOptions } from '../../src/runtime/client/options'
import type { Fallback } from '../../src/runtime/client/types'

type Options = Parameters<typeof resolve>[0]

/** A client's options, with everything at hand that a page loads on demand. */
export function resolveClientOptions(options: Options = {}, loadFallback: () => Promise<Fallback> = () => Promise.resolve(fallback)): ResolvedClientOptions {
  return resolve(options, loadFallback)
}
