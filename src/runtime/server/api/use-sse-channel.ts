import type { SSEChannel } from '../channel/types'
import { Channel } from '../channel/channel'
import type { SSERetention } from '../options'
import { useSSEContext } from '../entry/runtime-context'

export interface SSEChannelOptions {
  /**
   * The fields named here become the channel's own with the next write through this handle (`publish`, `pipe`, `run`, `end`, `fail`), until
   * another handle names them or the channel is deleted. A handle that names none changes nothing. Fields that no handle has named are as
   * the module's `retention`.
   */
  retention?: Partial<SSERetention>
}

/**
 * A handle on the channel of this name, in any handler, task or plugin: publish to it, read it, or return it from
 * `defineSSEHandler`. Making a handle costs nothing; the channel begins with its first message or reader.
 *
 * @param name a well-formed string of 1 to 512 bytes. Whoever knows a name cannot do anything with it: clients only reach channels
 * that a handler returns to them.
 * @throws `INVALID_CHANNEL`, `INVALID_OPTION`
 */
export function useSSEChannel<T = unknown>(name: string, options: SSEChannelOptions = {}): SSEChannel<T> {
  return new Channel<T>(useSSEContext(), name, options)
}
