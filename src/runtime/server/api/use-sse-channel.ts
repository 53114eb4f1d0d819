import type { SSESchema, SSESchemas } from '../../shared/standard-schema'
import { Channel } from '../channel/channel'
import { readChannelOptions } from '../channel/message-schemas'
import type { SSEChannel, SSEChannelOptions, SSESchemaChannel, SSESchemaOptions } from '../channel/types'
import { useSSEContext } from '../entry/runtime-context'

/**
 * Handle on the channel of this name, in any handler, task or plugin: publish to it, read it, or return it from `defineSSEHandler`.
 * Creating a handle costs nothing; the channel begins with its first message or reader. `defineSSEChannel` names a channel, its schemas and
 * its retention in one place.
 *
 * @param name a well-formed string of 1 to 512 bytes. Knowing a name grants no access: clients only reach channels that a handler returns
 * to them.
 * @throws `INVALID_CHANNEL`, `INVALID_OPTION`
 */
export function useSSEChannel<T = unknown>(name: string, options?: SSEChannelOptions & { schema?: undefined, events?: undefined }): SSEChannel<T>
export function useSSEChannel<S extends SSESchema | undefined = undefined, E extends SSESchemas | undefined = undefined>(name: string, options: SSESchemaOptions<S, E>): SSESchemaChannel<S, E>
export function useSSEChannel(name: string, options?: SSESchemaOptions): SSEChannel {
  const { schemas, ...read } = options ? readChannelOptions(options) : {}
  return new Channel(useSSEContext(), name, read, schemas)
}
