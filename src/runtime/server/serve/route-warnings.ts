import type { H3Event } from 'h3'
import { headerOf, sentHeaderOf } from '#sse/h3'
import { subjectOf } from '../insight/log'

/** Warnings about one route, in development. Each is printed once for each route. */

const warned = new Set<string>()

function warnOnce(event: H3Event, kind: string, text: string): void {
  const route = subjectOf(event)
  const key = `${kind} ${route}`
  if (warned.has(key)) return
  warned.add(key)
  console.warn(`[nuxt-sse] ${route}: ${text}`)
}

/** A push-style handler that does not take what it would push to: most often a `return` is missing. */
export function warnOfSilence(event: H3Event, parameters: number): void {
  if (parameters > 1) return
  warnOnce(event, 'silence', 'the handler returned nothing and takes no `connection`, so that its stream stays empty. Is a `return` missing? A channel, or what a generator gives, must be returned.')
}

/** A preflight that no middleware and no route rule has answered for: most often `handleCors` stands in the handler, which a preflight never runs. */
export function warnOfPreflight(event: H3Event): void {
  if (!headerOf(event, 'access-control-request-method') || sentHeaderOf(event, 'access-control-allow-origin')) return
  warnOnce(event, 'preflight', 'a page of another origin asked with OPTIONS whether it may use this route, and no CORS headers were set. OPTIONS never runs the handler: set `cors: true` for the route in `routeRules`, or call `handleCors` in middleware.')
}
