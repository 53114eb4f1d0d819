import { SSEError } from '../../shared/errors'

/** In place of sharing, in builds of applications in whose sources there is no word of it. */
export function createSharedClient(): never {
  throw new SSEError('INVALID_OPTION', '[nuxt-sse] `share` is not in this build, as no source file has the word: set `sse.client.share` to `true` in nuxt.config.')
}
