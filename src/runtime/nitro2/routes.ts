import type { InternalApi } from 'nitropack/types'

/**
 * `#sse/routes` for Nuxt 4: from the url of a route to what it streams, through the brand that `defineSSEHandler` puts on its
 * return type. `nitro3/routes.ts` is the same for Nuxt 5.
 *
 * Not with nitropack's own matcher: at 300 routes 200 calls of it cost ten seconds of type check, this half a second.
 */

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

/** Urls of routes that stream. */
export type StreamRoute = keyof StreamRoutes

/** The messages, serialized, of the route at `Url`; `never` where it streams only by other methods, `unknown` where no route streams. */
export type StreamedBy<Url extends string, Method extends string>
  = PathOf<Url> extends keyof StreamRoutes ? Unwrap<MethodOf<StreamRoutes[PathOf<Url>], Lowercase<Method>>> : unknown
