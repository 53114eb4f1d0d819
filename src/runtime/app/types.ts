import type { Ref } from 'vue'
import type { StreamRoute, StreamedBy } from '#sse/routes'
import type { SSEMessage } from '../shared/types'

/** Types from the url of a route to its messages. How routes are found depends on the framework (`#sse/routes`). */

/** Urls of routes that stream, for completion; any other text is accepted. */
export type SSERoute = StreamRoute | (string & {})

/** The messages of the route at `Url`; of an unknown type where there is none. */
export type MessageOfRoute<Url extends string, Method extends string = 'get'>
  = string extends Url ? SSEMessage : AsMessage<StreamedBy<Url, Method>>

// Serialized types lose what they extend, and properties that are `undefined`: a message without a name has none at all.
type AsMessage<M> = [M] extends [never] ? never
  : M extends { data: infer T } ? 'event' extends keyof M ? M & SSEMessage<T> : M & SSEMessage<T, undefined>
    : SSEMessage

export type SSECallback<M extends SSEMessage = SSEMessage> = (message: M) => void

/** The name under which `on` gives a kind of message: its own, or `message` where it may have none. */
type NameOf<M extends SSEMessage> = M extends unknown ? NonNullable<M['event']> | (undefined extends M['event'] ? 'message' : never) : never

/** The names that `on` takes. `*` stands for all messages. */
export type SSEEventName<M extends SSEMessage> = '*' | NameOf<M>

/** The messages that `on` gives under a name. */
export type MessageNamed<M extends SSEMessage, Name> = Name extends '*' ? M : M extends unknown ? Name extends NameOf<M> ? M : never : never

/** Callbacks by name. */
export type SSECallbacks<M extends SSEMessage> = { [Name in SSEEventName<M> & string]?: SSECallback<MessageNamed<M, Name>> }

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
