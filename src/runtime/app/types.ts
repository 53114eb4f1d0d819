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
