import type { MaybeRefOrGetter } from 'vue'
import type { StreamRoute, StreamedBy } from '#sse/routes'
import type { SSEMessage } from '../shared/types'

/** Types from the URL of a route to its messages. The types of routes depend on the framework (`#sse/routes`). */

/** URLs of routes that stream, for completion. Any other string is accepted. */
export type SSERoute = StreamRoute | (string & {})

/** Messages of the route at `Url`. Their data is `unknown` where there is no such route. */
export type MessageOfRoute<Url extends string, Method extends string = 'get'>
  = string extends Url ? SSEMessage : AsMessage<StreamedBy<Url, Method>>

// A serialized type loses the types that it extends, and properties that are `undefined`: a message without a name has no `event`.
type AsMessage<M> = [M] extends [never] ? never
  : M extends { data: infer T } ? 'event' extends keyof M ? M & SSEMessage<T> : M & SSEMessage<T, undefined>
    : SSEMessage

/** Key of a channel in the messages of a route of several. Any text where the messages are not typed. */
export type ChannelKey<M extends SSEMessage> = SSEMessage extends M ? string : M extends { channel: infer Key extends string } ? Key : never

/** Messages of one channel, with the option `channel`; all messages without it. */
export type MessageOfChannel<M extends SSEMessage, Key> = [Key] extends [undefined] ? M : M extends { channel: infer Own } ? Own extends Key ? M : never : M

/** Callback for one message. */
export type SSECallback<M extends SSEMessage = SSEMessage> = (message: M) => void

/**
 * Names under which `on` delivers a kind of message: its `event`, or `message` where it may have none. On a route of several channels without
 * the option `channel` (`Key`): the key, `key/event`, or `message`.
 */
type NameOf<M extends SSEMessage, Key> = M extends unknown ? (undefined extends M['event'] ? 'message' : never)
  | ([Key] extends [undefined] ? M extends { channel: infer Own extends string } ? Own | `${Own}/${NonNullable<M['event']>}` : NonNullable<M['event']> : NonNullable<M['event']>) : never

/** Names that `on` accepts. `*` stands for all messages. */
export type SSEEventName<M extends SSEMessage, Key = undefined> = '*' | NameOf<M, Key>

/** Messages that `on` delivers under a name. */
export type MessageNamed<M extends SSEMessage, Name, Key = undefined> = Name extends '*' ? M : M extends unknown ? Name extends NameOf<M, Key> ? M : never : never

/** Callbacks by event name. */
export type SSECallbacks<M extends SSEMessage, Key = undefined> = { [Name in SSEEventName<M, Key> & string]?: SSECallback<MessageNamed<M, Name, Key>> }

/** Placeholder for the type of the route's messages, where no type argument is given. */
export interface FromRoute { readonly __fromRoute: never }

/**
 * Type that no URL has. TypeScript types a getter once, by the first signature that it tries. This type makes it keep the getter's literal, so
 * that the next signature finds `() => '/api/clock'`, and not `() => string`.
 */
interface Refused { (): '', readonly __refused: never }

/** Disables the overload with a type argument where none is given. `any` counts as given, although it extends everything. */
export type UrlIfTyped<T> = 0 extends 1 & T ? MaybeRefOrGetter<string> : [T] extends [FromRoute] ? Refused : MaybeRefOrGetter<string>

/** URL that may still be missing. Nothing connects until there is one. */
export type MaybeUrl<Url extends string = string> = MaybeRefOrGetter<Url | null | undefined>
