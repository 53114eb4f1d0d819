import { SSEError } from '../../shared/errors'
import { outside } from '../lib/async-context'
import type { LogDriver, LogAppend, LogWriter, PackedAppend } from './types'
import type { LogRetention } from '../options'
import { hasLeases, hasPresence } from './capabilities'

/** Driver as one process uses it: it counts writes in flight, and rejects operations after `close()`. */
export interface ProcessDriver extends LogDriver {
  /** Accepts bytes only if the driver {@link LogDriver.takesBytes}. */
  append(channel: string, entries: PackedAppend[], retention: LogRetention, writer?: LogWriter): ReturnType<LogDriver['append']>
  /** Resolves when no write is in flight; `undefined` when none is. Never rejects. */
  readonly writing: Promise<void> | undefined
}

/**
 * Wraps `driver` so that each operation runs {@link outside} of the request that calls it. Clients, subscriptions and timers that the
 * driver creates on first use belong to the process. After `close()`, operations reject with `SHUTTING_DOWN`, including those in flight: a
 * shutdown is not a fault of the store.
 */
export function createProcessDriver(driver: LogDriver): ProcessDriver {
  let closed = false
  let writes = 0
  let idle: PromiseWithResolvers<void> | undefined

  const orClosed = (error: unknown): never => {
    throw closed ? shuttingDown(error) : error
  }
  const done = () => {
    if (--writes > 0) return
    idle?.resolve()
    idle = undefined
  }
  function read<T>(operation: () => Promise<T>): Promise<T> {
    return closed ? Promise.reject(shuttingDown()) : outside(operation).catch(orClosed)
  }
  function write<T>(operation: () => Promise<T>): Promise<T> {
    if (closed) return Promise.reject(shuttingDown())
    writes++
    return outside(operation).then((result) => {
      done()
      return result
    }, (error) => {
      done()
      return orClosed(error)
    })
  }

  const methods: Omit<ProcessDriver, 'name' | 'recheckMs' | 'takesBytes'> = {
    append: (channel, entries, ...args) => write(() => driver.append(channel, entries as LogAppend[], ...args)),
    finish: (...args) => write(() => driver.finish(...args)),
    remove: (...args) => write(() => driver.remove(...args)),
    read: (...args) => read(() => driver.read(...args)),
    subscribe: (...args) => read(() => driver.subscribe(...args)),
    close() {
      closed = true
      return outside(() => driver.close())
    },
    get writing() {
      return writes === 0 ? undefined : (idle ??= Promise.withResolvers<void>()).promise
    },
  }
  if (hasLeases(driver)) methods.lease = (...args) => write(() => driver.lease(...args))
  if (hasPresence(driver)) methods.presence = (...args) => write(() => driver.presence(...args))
  // Other members are inherited from the driver.
  return Object.create(driver, Object.getOwnPropertyDescriptors(methods)) as ProcessDriver
}

function shuttingDown(cause?: unknown): SSEError {
  return new SSEError('SHUTTING_DOWN', 'The server is shutting down, and its channels are closed.', { statusCode: 503, cause })
}
