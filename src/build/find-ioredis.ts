import { createRequire } from 'node:module'
import { join } from 'node:path'
import { SSEError } from '../runtime/shared/errors'

/**
 * Throws `INVALID_OPTION` unless the package `ioredis` can be found from one of `dirs`. It is an optional peer dependency, since most
 * applications need none. If it is missing, the build reports it, not the first request.
 */
export function assertIoredis(dirs: string[]): void {
  const isThere = (dir: string) => {
    try {
      return !!createRequire(join(dir, 'package.json')).resolve('ioredis')
    }
    catch {
      return false
    }
  }
  if (dirs.some(isThere)) return
  throw new SSEError('INVALID_OPTION', 'Expected the package `ioredis` to be installed, because `sse.driver` or `sse.redis.url` selects Redis. Run `npm install ioredis`.')
}
