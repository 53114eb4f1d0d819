import { SSEError, invalidOption } from '../../shared/errors'
import type { LogDriver, LogPageLimit, LogState } from './types'

/** A driver with leases. */
export interface LeasingDriver extends LogDriver {
  lease: NonNullable<LogDriver['lease']>
}

const METHODS = ['append', 'finish', 'read', 'subscribe', 'remove', 'close'] as const

/** Throws `INVALID_OPTION` unless `driver` has the methods of a driver. `lease` is optional. */
export function assertDriver(driver: LogDriver): void {
  const missing = METHODS.find(method => typeof (driver as LogDriver | undefined)?.[method] !== 'function')
  if (missing) throw invalidOption('driver', `a \`LogDriver\` with the method \`${missing}\``, driver)
}

export function hasLeases(driver: LogDriver): driver is LeasingDriver {
  return typeof driver.lease === 'function'
}

/** Returns `driver` if it has leases. Throws `NOT_SUPPORTED` otherwise. */
export function leasing(driver: LogDriver): LeasingDriver {
  if (hasLeases(driver)) return driver
  throw new SSEError('NOT_SUPPORTED', `Expected the driver \`${driver.name}\` to have the method \`lease\`, which \`channel.run\` and \`resumable\` need. Add it, or use \`channel.pipe\`.`, { statusCode: 501, retry: false })
}

/** A driver with presence. */
export interface PresenceDriver extends LogDriver {
  presence: NonNullable<LogDriver['presence']>
}

export function hasPresence(driver: LogDriver): driver is PresenceDriver {
  return typeof driver.presence === 'function'
}

/** Returns `driver` if it has presence. Throws `NOT_SUPPORTED` otherwise. */
export function withPresence(driver: LogDriver): PresenceDriver {
  if (hasPresence(driver)) return driver
  throw new SSEError('NOT_SUPPORTED', `Expected the driver \`${driver.name}\` to have the method \`presence\`, which \`useSSEPresence\` needs.`, { statusCode: 501, retry: false })
}

/** Limit of a read that returns the state and no entries. */
export const STATE_ONLY: LogPageLimit = { messages: 0, bytes: 0 }

/** Reads the state of a log. A log that does not exist begins, empty. */
export async function readState(driver: Pick<LogDriver, 'read'>, channel: string): Promise<LogState> {
  const { entries: _, ...state } = await driver.read(channel, 0, STATE_ONLY)
  return state
}
