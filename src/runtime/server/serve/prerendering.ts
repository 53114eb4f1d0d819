import type { H3Event } from 'h3'
import { SSEError } from '../../shared/errors'
import { subjectOf } from '../insight/log'

const told = new Set<string>()

/** Throws `PRERENDERING` (501) while pages are prerendered: a stream has no end that could be waited for, and belongs to one client. */
export function assertNotPrerendering(event: H3Event): void {
  // Known when the prerenderer is built; nothing of it is in any other build.
  if (!import.meta.prerender) return
  const route = subjectOf(event)
  const error = new SSEError('PRERENDERING', `${route} was requested while pages were prerendered, and a stream cannot be. Leave it to the browser: keep \`useSSE\` for it, remove links to it, or add the route to \`nitro.prerender.ignore\`.`, { statusCode: 501, retry: false })
  // Nitro prints only the status.
  if (!told.has(route)) console.error(`[nuxt-sse] ${error.message}`)
  told.add(route)
  throw error
}
