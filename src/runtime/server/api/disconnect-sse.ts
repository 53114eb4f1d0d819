import { sendDisconnect } from '../channel/send-disconnect'
import type { SSEDisconnectOptions } from '../channel/send-disconnect'
import { useSSEContext } from '../entry/runtime-context'
import { platform } from '../lib/platform/platform'
import { warnOfKey } from '../serve/route-checks'

/**
 * Ends every open stream and poll of a client key, on every instance: of requests to handlers whose option `clientKey` returns it. Clients
 * receive an `error` and stay away, or reconnect with `leave: true`. A request that begins later is for its handler to refuse.
 *
 * Resolves when the driver has the message. Streams end within a second; an instance whose connection to Redis was cut ends them when it is
 * back. On Cloudflare Workers, only streams of the same isolate end.
 *
 * @throws `INVALID_OPTION`, and `DRIVER_UNAVAILABLE` when the driver cannot be reached
 */
export async function disconnectSSE(clientKey: string, options?: SSEDisconnectOptions): Promise<void> {
  const context = useSSEContext()
  const disconnect = await sendDisconnect(context, clientKey, options)
  if (import.meta.dev) warnOfKey()
  if (!platform.hasBackground) context.disconnects.perform(disconnect)
}
