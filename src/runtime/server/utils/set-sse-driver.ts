import type { LogDriver } from '../drivers/types'
import { useDriver } from '../nitro'

/**
 * Has `driver` keep the channels, in place of what `sse.driver` says: `createFailingDriver()` of `nuxt-sse/test`, or one of your
 * own that does what `LogDriver` says. To be called in a server plugin, before a channel is used. It is closed with the server.
 *
 * ```ts
 * export default defineNitroPlugin(() => setSSEDriver(driver))
 * ```
 *
 * @throws `INVALID_OPTION` when a channel, a stream or `useSSEStats` was used already, and for what is no driver
 */
export function setSSEDriver(driver: LogDriver): void {
  useDriver(driver)
}
