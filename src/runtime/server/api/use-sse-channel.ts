import type { SSEChannel } from '../channel/types'
import { Channel } from '../channel/channel'
import type { SSERetention } from '../options'
import { useSSEContext } from '../entry/runtime-context'

export interface SSEChannelOptions {
  /**
   * Retention for this channel. The next write through this handle (`publish`, `pipe`, `run`, `end`, `fail`) stores the fields named here.
   * They apply until another handle names them or the channel is deleted. A handle that names no field changes nothing. A field that no
   * handle has named defaults to the module's `retention`.
   */
  retention?: Partial<SSERetention>
}

/**
 * Handle on the channel of this name, in any handler, task or plugin: publish to it, read it, or return it from `defineSSEHandler`.
 * Creating a handle costs nothing; the channel begins with its first message or reader.
 *
 * @param name a well-formed string of 1 to 512 bytes. Knowing a name grants no access: clients only reach channels that a handler returns
 * to them.
 * @throws `INVALID_CHANNEL`, `INVALID_OPTION`
 */
export function useSSEChannel<T = unknown>(name: string, options: SSEChannelOptions = {}): SSEChannel<T> {
  return new Channel<T>(useSSEContext(), name, options)
}
