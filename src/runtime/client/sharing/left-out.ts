import { SSEError } from '../../shared/errors'

/** Takes the place of sharing in builds of applications whose sources do not mention it. */
export function createSharedClient(): never {
  throw new SSEError('INVALID_OPTION', '`share` is not in this build, as no source file has the word: set `sse.client.share` to `true` in nuxt.config.')
}
