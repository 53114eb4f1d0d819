import type { InternalApi } from 'nitropack/types'
import type { SSEMessage } from '../shared/types'

/**
 * From the url of a route to its messages, through the brand that `defineSSEHandler` puts on its return type.
 *
 * Not with nitropack's own matcher: at 300 routes 200 calls of it cost ten seconds of type check, this half a second.
 */

export type SSEMethod = 'get' | 'post' | 'put' | 'patch' | 'delete'

type Unwrap<Response> = Response extends { __sse: infer M } ? M : never

/** `/api/jobs/:id/stream` as a pattern: `/api/jobs/${string}/stream`. */
type Pattern<Route extends string>
  = Route extends `${infer Before}/:${string}/${infer After}` ? `${Pattern<Before>}/${string}/${Pattern<After>}`
    : Route extends `${infer Before}/:${string}` ? `${Pattern<Before>}/${string}`
      : Route extends `${infer Before}/**${string}` ? `${Pattern<Before>}/${string}`
        : Route

type HasStream<Methods> = true extends { [Method in keyof Methods]: [Unwrap<Methods[Method]>] extends [never] ? false : true }[keyof Methods] ? true : false

type StreamRoutes = { [Route in keyof InternalApi & string as HasStream<InternalApi[Route]> extends true ? Pattern<Route> : never]: InternalApi[Route] }

type PathOf<Url extends string> = Url extends `${infer Path}?${string}` ? Path : Url

type MethodOf<Methods, Method extends string> = Method extends keyof Methods ? Methods[Method] : 'default' extends keyof Methods ? Methods['default'] : never

/** Urls of routes that stream, for completion; any other text is accepted. */
export type SSERoute = keyof StreamRoutes | (string & {})

/** The messages of the route at `Url`; of an unknown type where there is none. */
export type MessageOfRoute<Url extends string, Method extends string = 'get'>
  = string extends Url ? SSEMessage
    : PathOf<Url> extends keyof StreamRoutes
      ? AsMessage<Unwrap<MethodOf<StreamRoutes[PathOf<Url>], Lowercase<Method>>>>
      : SSEMessage

// Serialized types lose what they extend, and properties that are `undefined`: a message without a name has none at all.
type AsMessage<M> = [M] extends [never] ? never
  : M extends { data: infer T } ? 'event' extends keyof M ? M & SSEMessage<T> : M & SSEMessage<T, undefined>
    : SSEMessage

export type SSECallback<M extends SSEMessage = SSEMessage> = (message: M) => void

/** Where `on` finds one kind of message: under its name, or under `message` where it may have none. */
type NameOf<M extends SSEMessage> = M extends unknown ? NonNullable<M['event']> | (undefined extends M['event'] ? 'message' : never) : never

/** What `on` may be asked for. `*` gives all. */
export type SSEEventName<M extends SSEMessage> = '*' | NameOf<M>

/** The messages that `on` gives under a name. */
export type MessageNamed<M extends SSEMessage, Name> = Name extends '*' ? M : M extends unknown ? Name extends NameOf<M> ? M : never : never

/** Callbacks by name. */
export type SSECallbacks<M extends SSEMessage> = { [Name in SSEEventName<M> & string]?: SSECallback<MessageNamed<M, Name>> }
