import { check, functionOf } from '../../shared/rules'
import type { Rule } from '../../shared/rules'
import type { SSESchema, SSESchemas } from '../../shared/standard-schema'
import { Channel } from './channel'
import { useChannelContext } from './channel-host'
import { readChannelOptions } from './message-schemas'
import type { SSEChannel, SSEChannelOptions, SSESchemaChannel, SSESchemaOptions } from './types'

/** Name of a channel, or a function that returns it. */
type ChannelName = string | ((...args: never[]) => string)

/** Arguments of a defined channel: those of the function that returns its name. */
type ArgumentsOf<Name> = Name extends (...args: infer Args) => string ? Args : []

const NAME: Rule = { test: value => typeof value === 'string' || typeof value === 'function', expected: functionOf('that returns the name of a channel, or a string').expected }

/**
 * Defines channels once, with the schemas and the retention of their messages. Returns a function that returns a handle, with the same
 * arguments as `name`. Use it in handlers, tasks and plugins of the server, and in any other process with `createSSEPublisher`. Without a
 * server and a publisher, the methods of a handle reject with `NO_PUBLISHER`.
 *
 * @param name name of the channel, or a function that returns it
 * @throws `INVALID_OPTION`. The returned function throws `INVALID_CHANNEL`.
 */
export function defineSSEChannel<Name extends ChannelName>(name: Name, options?: SSEChannelOptions & { schema?: undefined, events?: undefined }): (...args: ArgumentsOf<Name>) => SSEChannel
export function defineSSEChannel<Name extends ChannelName, S extends SSESchema | undefined = undefined, E extends SSESchemas | undefined = undefined>(
  name: Name,
  options: SSESchemaOptions<S, E>,
): (...args: ArgumentsOf<Name>) => SSESchemaChannel<S, E>
export function defineSSEChannel<T, Args extends unknown[] = []>(name: string | ((...args: Args) => string), options?: SSEChannelOptions): (...args: Args) => SSEChannel<T>
export function defineSSEChannel(name: string | ((...args: unknown[]) => string), options: SSESchemaOptions = {}): (...args: unknown[]) => SSEChannel {
  check('name', name, NAME)
  const { schemas, ...read } = readChannelOptions(options)
  return (...args) => new Channel(useChannelContext(), typeof name === 'string' ? name : name(...args), read, schemas)
}
