import type { H3Event } from 'h3'
import { methodOf, pathOf, routeOf } from '#sse/h3'
import { pathWithoutSecret } from '../../shared/secret-epoch'

/** Describes a request for hooks: its path without the secret of a `resumable` run, and the pattern that it matched. */
export function describeRequest(event: H3Event): { path: string, route?: string } {
  return { path: pathWithoutSecret(pathOf(event)), route: routeOf(event) }
}

/** Names a request in logs: method and route pattern. The path may contain secrets. */
export function subjectOf(event: H3Event): string {
  return `${methodOf(event)} ${routeOf(event) ?? pathOf(event).replace(/\?.*/s, '')}`
}
