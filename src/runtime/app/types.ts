import type { MaybeRefOrGetter, Ref } from 'vue'
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

/** Puts a text into the compiler's error, which prints this type. No value has it. */
export type Mistake<Text extends string> = { readonly [Name in Text]: never }

/**
 * Type of `this` in a call of `useSSE`, which has none: there a check takes no part in the inference of the other types. As part of the type of `url`, it would take
 * away the context by which the text of a getter is typed.
 */
export type CallCheck<Url extends string, Method extends string, State> = RouteCheck<Url, Method> & StateCheck<State>

/** A literal path must be a route that streams. Without known routes, and for a text that is known at run time only, there is nothing to check. */
type RouteCheck<Url extends string, Method extends string>
  = [StreamRoute] extends [never] ? unknown
    : Record<never, never> extends Record<Url, 1> ? unknown
      : Url extends `//${string}` ? unknown
        : Url extends `/${string}` ? StreamCheck<Url, StreamedBy<Url, Method>, Method> : unknown

type StreamCheck<Url extends string, Streamed, Method extends string>
  = 0 extends 1 & Streamed ? unknown
    : string extends Method ? unknown
      : [Streamed] extends [never] ? Mistake<`${Url} does not stream by ${Uppercase<Method>}`>
          : [unknown] extends [Streamed] ? Mistake<`No route of this application streams ${Url}. For a server behind it, name the type of the data, as in useSSE<Data>(url).`> : unknown

type StateCheck<State>
  = 0 extends 1 & State ? unknown
    : [State] extends [never] ? unknown
        : [State] extends [Ref] ? Mistake<NoRef<'initial'>> : unknown

type NoRef<Name extends string> = `The option ${Name} takes a value, and no ref.`

/** Options that take refs; `initial`, of any type; and `on`, whose error suggests the name that was meant. */
type Unchecked = 'query' | 'headers' | 'body' | 'enabled' | 'initial' | 'on'

/** Options, with a text in the compiler's error for a ref where none has an effect. */
export type RefCheck<Options> = { [Name in keyof Options]: Name extends Unchecked ? Options[Name] : Options[Name] | Mistake<NoRef<Name & string>> }
