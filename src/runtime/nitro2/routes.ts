import type { InternalApi } from 'nitropack/types'

/**
 * `#sse/routes` for Nuxt 4: maps the URL of a route to the messages it streams, through the brand that `defineSSEHandler` puts on its
 * return type. `nitro3/routes.ts` is the counterpart for Nuxt 5.
 *
 * It does not use nitropack's own matcher: at 300 routes, 200 calls of it took ten seconds of type check, this takes half a second.
 */

type Unwrap<Response> = Response extends { __sse: infer M } ? M : never

/** Pattern of a route: `/api/jobs/:id/stream` becomes `/api/jobs/${string}/stream`. */
type Pattern<Route extends string>
  = Route extends `${infer Before}/:${string}/${infer After}` ? `${Pattern<Before>}/${string}/${Pattern<After>}`
    : Route extends `${infer Before}/:${string}` ? `${Pattern<Before>}/${string}`
      : Route extends `${infer Before}/**${string}` ? `${Pattern<Before>}/${string}`
        : Route

type HasStream<Methods> = true extends { [Method in keyof Methods]: [Unwrap<Methods[Method]>] extends [never] ? false : true }[keyof Methods] ? true : false

type StreamRoutes = { [Route in keyof InternalApi & string as HasStream<InternalApi[Route]> extends true ? Pattern<Route> : never]: InternalApi[Route] }

type Routes = { [Route in keyof InternalApi & string as Pattern<Route>]: InternalApi[Route] }

type PathOf<Url extends string> = Url extends `${infer Path}?${string}` ? Path : Url

type MethodOf<Methods, Method extends string> = Method extends keyof Methods ? Methods[Method] : 'default' extends keyof Methods ? Methods['default'] : never

/** Urls of routes that stream. */
export type StreamRoute = keyof StreamRoutes

/** Messages, serialized, of the route at `Url`; `never` if it streams only by other methods, `unknown` if no route streams. */
export type StreamedBy<Url extends string, Method extends string>
  = PathOf<Url> extends keyof StreamRoutes ? Unwrap<MethodOf<StreamRoutes[PathOf<Url>], Lowercase<Method>>> : unknown

/** Answer, serialized, to a GET of the route at `Url`, without its stream. `unknown` if there is no such route. */
export type AnswerOf<Url extends string>
  = PathOf<Url> extends keyof Routes ? Exclude<MethodOf<Routes[PathOf<Url>], 'get'>, { __sse: unknown }> : unknown
