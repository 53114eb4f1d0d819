import type { LogDriver } from '../drivers/types'
import { useDriver } from '../entry/runtime-context'

/**
 * Makes `driver` keep the channels, whatever the option `driver` says: `createFailingDriver()` of `nuxt-sse/test`, or one of your
 * own that implements `LogDriver`. To be called in a server plugin, before a channel is used. It is closed with the server.
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
