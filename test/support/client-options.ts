import * as fallback from '../../src/runtime/client/fallback'
import { resolveClientOptions as resolve } from '../../src/runtime/client/options'
import type { ClientInit } from '../../src/runtime/client/client'

type Options = Parameters<typeof resolve<unknown>>[0]

/** A client's options, with everything at hand that a page loads on demand. */
export function resolveClientOptions(options: Options = {}, loadFallback = () => Promise.resolve(fallback)): ClientInit {
  return resolve({ ...options, loadFallback })
}
