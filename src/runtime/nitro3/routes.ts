import type { Path, Response } from '#build/server-routes'

/**
 * `#sse/routes` for Nuxt 5: from the url of a route to what it streams, through the brand that `defineSSEHandler` puts on its
 * return type, by the types that Nuxt writes of routes. `nitro2/routes.ts` is the same for Nuxt 4.
 */

type Unwrap<Response> = Response extends { __sse: infer M } ? M : never

type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

type Streamed<Url extends string, Method> = Method extends HttpMethod ? Unwrap<Response<Url, Method>> : never

/** Urls of routes that stream. */
export type StreamRoute = StreamOnly<Path & string>

type StreamOnly<Url extends string> = Url extends unknown ? [Streamed<Url, HttpMethod>] extends [never] ? never : Url : never

/** The messages, serialized, of the route at `Url`; `never` where it streams only by other methods, `unknown` where no route streams. */
export type StreamedBy<Url extends string, Method extends string>
  = [Streamed<Url, Uppercase<Method>>] extends [never]
    ? [Streamed<Url, HttpMethod>] extends [never] ? unknown : never
    : Streamed<Url, Uppercase<Method>>
