import type { Path, Response } from '#build/server-routes'

/**
 * `#sse/routes` for Nuxt 5: maps the URL of a route to the messages it streams, through the brand that `defineSSEHandler` puts on its
 * return type, by the route types that Nuxt writes. `nitro2/routes.ts` is the counterpart for Nuxt 4.
 */

type Unwrap<Response> = Response extends { __sse: infer M } ? M : never

type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

type Streamed<Url extends string, Method> = Method extends HttpMethod ? Unwrap<Response<Url, Method>> : never

/** Urls of routes that stream. */
export type StreamRoute = StreamOnly<Path & string>

type StreamOnly<Url extends string> = Url extends unknown ? [Streamed<Url, HttpMethod>] extends [never] ? never : Url : never

/** Messages, serialized, of the route at `Url`; `never` if it streams only by other methods, `unknown` if no route streams. */
export type StreamedBy<Url extends string, Method extends string>
  = [Streamed<Url, Uppercase<Method>>] extends [never]
    ? [Streamed<Url, HttpMethod>] extends [never] ? unknown : never
    : Streamed<Url, Uppercase<Method>>

/** Answer, serialized, to a GET of the route at `Url`, without its stream. `unknown` if there is no such route. */
export type AnswerOf<Url extends string> = Exclude<Response<Url, 'GET'>, { __sse: unknown }>
