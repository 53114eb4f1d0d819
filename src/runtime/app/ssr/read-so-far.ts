import type { NuxtApp } from '#app'
import { useRequestEvent, useRequestFetch, useRequestURL } from '#imports'
import { refusalOf } from '../../client/fallback/refusal-of'
import type { ResolvedClientOptions } from '../../client/options'
import { prepareRequest } from '../../client/request'
import { clientError } from '../../client/response'
import type { SSEClientState } from '../../client/types'
import { addQuery } from '../../client/url'
import { SSEError } from '../../shared/errors'
import type { SSEBatch } from '../../shared/protocol'
import { POLL_CONTENT_TYPE } from '../../shared/protocol'
import { isSecretPosition } from '../../shared/secret-epoch'
import type { SSEMessage } from '../../shared/types'
import { warnOnce } from '../dev-warnings'

/** How long a render waits for the reading of one call. */
const READ_TIMEOUT_MS = 3_000
/** With this many messages the server stops asking: the browser reads the rest. A poll answers with at most 1,000. */
const READ_MESSAGES = 10_000

type PageEvent = NonNullable<ReturnType<typeof useRequestEvent>>

/** A `fetch` of this application's routes without a socket, with the headers of the request for the page. */
type OwnFetch = (path: string, init: RequestInit) => Promise<Response>

/** How far the reading has come, as part of a client's state. */
export type SoFar = Partial<SSEClientState>

/** Stands for "this cannot be read here, but perhaps from the browser". */
const unreadable = Symbol('unreadable')

/**
 * Reads the messages so far of a route of this application, without a socket, on behalf of whoever asked for the page: poll after
 * poll, until there is nothing more, `take` says that it is enough, or a bound is reached.
 *
 * A failure is returned as the `error`, and never thrown. `undefined`: nothing was read.
 */
export async function readSoFar(nuxtApp: NuxtApp, url: string, options: ResolvedClientOptions, take: (message: SSEMessage) => boolean | undefined): Promise<SoFar | undefined> {
  const event = useRequestEvent(nuxtApp)!
  const origin = await nuxtApp.runWithContext(() => useRequestURL())
  // This page is itself being read in this way, by a call whose url is a page's: it would read itself for ever.
  if (event.headers.get('accept') === POLL_CONTENT_TYPE) return undefined
  const ownFetch = await nuxtApp.runWithContext(() => fetchOf(event))
  const path = ownPath(url, origin)
  if (path === undefined) {
    if (import.meta.dev) warnOnce(`\`ssr\` does nothing for ${url}, the browser connects as usual: only routes of this application are read on the server.`)
    return undefined
  }
  const left = new AbortController()
  let timer: ReturnType<typeof setTimeout>
  const late = new Promise<'late'>(resolve => timer = setTimeout(resolve, READ_TIMEOUT_MS, 'late'))
  let soFar: SoFar | undefined
  let count = 0
  try {
    while (true) {
      const page = await Promise.race([readPage(ownFetch, path, options, soFar?.position, left.signal), late])
      // What was read is shown, and the browser goes on from there.
      if (page === unreadable || (page === 'late' && soFar)) return soFar
      if (page === 'late' || page instanceof SSEError) {
        const error = page === 'late' ? clientError('CONNECT_TIMEOUT', `Nothing came within ${READ_TIMEOUT_MS} ms`, undefined, 0, true) : page
        return isForMany(event) ? soFar : { ...soFar, error }
      }
      // A payload for many would hand everybody the one run that was begun for this page.
      if (isSecretPosition(page.position) && isForMany(event)) return undefined
      for (const sent of page.messages) {
        const [message, failure] = options.schema || options.events ? await (await options.loadFallback()).checkMessage!(sent, options, options.connectTimeoutMs) : [sent]
        if (failure) console.error('[nuxt-sse]', failure)
        else if (take(message)) return { ...soFar, gap: page.gap ?? soFar?.gap, position: message.id, ended: true }
      }
      soFar = { position: page.position, gap: page.gap ?? soFar?.gap, ended: page.ended }
      if (page.error) return { ...soFar, ended: false, error: new SSEError(page.error.code, page.error.message, { ...page.error, retry: false }) }
      count += page.messages.length
      if (page.ended || !page.messages.length || count >= READ_MESSAGES) return soFar
    }
  }
  catch (cause) {
    return { ...soFar, error: clientError('NETWORK', 'The poll failed', cause, 0, true) }
  }
  finally {
    clearTimeout(timer!)
    left.abort()
  }
}

/** Nuxt 5's events have no `fetch`; what its `$fetch` for a page is made of does the same. */
function fetchOf(event: PageEvent): OwnFetch {
  if (!event.fetch) return (useRequestFetch() as unknown as { native: OwnFetch }).native
  return (path, { headers, ...init }) => event.fetch(path, {
    ...init,
    // Those of the page come first. Its length is not that of this body, and it has no position here.
    headers: { ...{ 'content-length': undefined, 'last-event-id': undefined } as object, ...Object.fromEntries(headers as Headers) },
  })
}

/** The path of what is below this host; cookies and headers of the user go nowhere else. */
function ownPath(url: string, origin: URL): string | undefined {
  if (!URL.canParse(url, origin)) return undefined
  const { host, pathname, search } = new URL(url, origin)
  return host === origin.host ? pathname + search : undefined
}

/** Whether the page is prerendered or cached: an error that was met while it was made means nothing to those who see it. */
function isForMany({ context: { cache, _nitro } }: PageEvent): boolean {
  return import.meta.prerender || !!(cache || _nitro?.routeRules?.isr)
}

async function readPage(ownFetch: OwnFetch, path: string, options: ResolvedClientOptions, position: string | undefined, left: AbortSignal): Promise<SSEBatch | SSEError | typeof unreadable> {
  const request = await prepareRequest(path, { ...options, fetch: ownFetch as typeof fetch }, () => ({ position }), left).catch(cause => cause instanceof SSEError ? cause : clientError('REQUEST_FAILED', 'An option that is a function threw', cause, 0, true))
  if (request instanceof SSEError) return request
  const { url, init: { headers, method, body } } = request
  // Finds the content type of forms and the like, as `fetch` would.
  const sent = body === undefined ? undefined : new Response(body)
  for (const [name, value] of sent?.headers ?? []) if (!headers.has(name)) headers.set(name, value)
  headers.set('accept', POLL_CONTENT_TYPE)
  const response = await ownFetch(addQuery(url, { transport: 'poll', waitMs: 0, position }), {
    method,
    body: sent && new Uint8Array(await sent.arrayBuffer()),
    headers,
  })
  if (response.status >= 300 && response.status < 400) return giveUp(url, `it answers ${response.status} with ${response.headers.get('location')}`)
  const refusal = await refusalOf(response, POLL_CONTENT_TYPE, 'INVALID_BATCH')
  if (refusal?.type === 'ended') return { type: 'batch', messages: [], position: position!, ended: true, gap: null, pollMs: 0 }
  if (refusal?.type === 'failed') {
    // 200: another kind of route, perhaps a foreign event stream. The browser finds out.
    return [200, 406].includes(refusal.error.statusCode) ? giveUp(url, refusal.error.message) : refusal.error
  }
  if (refusal) return clientError('HTTP_ERROR', 'The driver cannot be reached', undefined, 503, true)
  const text = await response.text()
  const batch = JSON.parse(text) as SSEBatch
  if (batch?.type !== 'batch') return giveUp(url, 'what it answers is no batch of messages')
  // Nuxt's payload cannot hold such a key, and one message must not break everybody's page.
  if (text.includes('"__proto__"') && hasProto(text)) return giveUp(url, 'a message has a key `__proto__`, which a payload cannot hold')
  return batch
}

function hasProto(json: string): boolean {
  let found = false
  JSON.parse(json, (key, value) => {
    found ||= key === '__proto__'
    return value
  })
  return found
}

function giveUp(url: string, why: string): typeof unreadable {
  if (import.meta.dev) warnOnce(`\`ssr\` does nothing for ${url}, the browser connects as usual: ${why}`)
  return unreadable
}
