import { SSEError } from '../../shared/errors'
import type { LogDriver } from './types'

/** A driver that has leases. */
export interface LeasingDriver extends LogDriver {
  lease: NonNullable<LogDriver['lease']>
}

export function hasLeases(driver: LogDriver): driver is LeasingDriver {
  return typeof driver.lease === 'function'
}

/** `driver` itself, if it has leases. Throws `NOT_SUPPORTED` otherwise. */
export function leasing(driver: LogDriver): LeasingDriver {
  if (hasLeases(driver)) return driver
  throw new SSEError('NOT_SUPPORTED', `Expected a driver with leases for \`channel.run\` and \`resumable\`: the driver \`${driver.name}\` has no \`lease\`.`, { statusCode: 501, retry: false })
}
