import type { H3Event } from 'h3'
import { headerOf, sentHeaderOf } from '#sse/h3'
import { subjectOf } from '../http/describe-request'
import { SSEError } from '../../shared/errors'

const told = new Set<string>()

/** Throws `PRERENDERING` (501) while pages are prerendered: a stream has no end to wait for, and belongs to one client. */
export function assertNotPrerendering(event: H3Event): void {
  // Known when the prerenderer is built; other builds contain none of it.
  if (!import.meta.prerender) return
  const route = subjectOf(event)
  const error = new SSEError('PRERENDERING', `${route} was requested during prerendering, and streams cannot be prerendered. Connect to it from the browser with \`useSSE\`, remove links to it, or add the route to \`nitro.prerender.ignore\`.`, { statusCode: 501, retry: false })
  // Nitro prints only the status.
  if (!told.has(route)) console.error(`[nuxt-sse] ${error.message}`)
  told.add(route)
  throw error
}

/** Routes that were warned about, in development. Each warning is printed once per route. */

const warned = new Set<string>()

function warnOnce(event: H3Event, kind: string, text: string): void {
  const route = subjectOf(event)
  const key = `${kind} ${route}`
  if (warned.has(key)) return
  warned.add(key)
  console.warn(`[nuxt-sse] ${route}: ${text}`)
}

/** Warns of a push API handler without the `connection` parameter: most often a `return` is missing. */
export function warnOfSilence(event: H3Event, parameters: number): void {
  if (parameters > 1) return
  warnOnce(event, 'silence', 'the handler returned nothing and has no `connection` parameter, so its stream stays empty. Is a `return` missing? Return the channel or the generator.')
}

/** Handlers that this process has loaded, in development, and those of them with the option `clientKey`. */
const loaded = { all: 0, keyed: 0 }
let warnedOfKey = false

/** Counts a handler, for {@link warnOfKey}. */
export function countHandler({ clientKey }: { clientKey?: unknown }): void {
  loaded.all++
  if (clientKey) loaded.keyed++
}

/**
 * Warns once of a disconnect where no stream can have a client key. A process without handlers, such as a worker, may disconnect the streams
 * of others.
 */
export function warnOfKey(): void {
  if (warnedOfKey || !loaded.all || loaded.keyed) return
  warnedOfKey = true
  console.warn('[nuxt-sse] `disconnectSSE` found no stream: no SSE handler loaded so far has the option `clientKey`. Set it on each route whose streams `disconnectSSE` should end.')
}

/**
 * Warns of a preflight that no middleware and no route rule has handled: most often `handleCors` is in the handler, which a preflight never
 * runs.
 */
export function warnOfPreflight(event: H3Event): void {
  if (!headerOf(event, 'access-control-request-method') || sentHeaderOf(event, 'access-control-allow-origin')) return
  warnOnce(event, 'preflight', 'a page of another origin sent a preflight request (OPTIONS), and no CORS headers were set. A preflight never runs the handler. Set `cors: true` for the route in `routeRules`, or call `handleCors` in middleware.')
}
