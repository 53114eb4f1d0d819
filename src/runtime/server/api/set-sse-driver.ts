import type { LogDriver } from '../drivers/types'
import { useDriver } from '../entry/runtime-context'

/**
 * Uses `driver` for all channels, regardless of the option `driver`: `createFailingDriver()` of `nuxt-sse/test`, or your own implementation
 * of `LogDriver`. Call it in a server plugin, before a channel is used. The server closes the driver when it shuts down.
 *
 * ```ts
 * export default defineNitroPlugin(() => setSSEDriver(driver))
 * ```
 *
 * @throws `INVALID_OPTION` when a channel, a stream or `useSSEStats` was used already, and when a method of `LogDriver` is missing
 */
export function setSSEDriver(driver: LogDriver): void {
  useDriver(driver)
}
