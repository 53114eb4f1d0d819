import type { NuxtApp } from '#app'
import { useRequestEvent, useRequestFetch, useRequestURL } from '#imports'
import { dropUnknown } from '../../client/fallback/read-json'
import { readRefusal } from '../../client/fallback/read-refusal'
import type { ResolvedClientOptions } from '../../client/host'
import { prepareRequest } from '../../client/request'
import { clientError } from '../../client/response'
import type { SSEClientState } from '../../client/types'
import { addQuery } from '../../client/url'
import { SSEError } from '../../shared/errors'
import type { SSEBatch } from '../../shared/protocol'
import { POLL_CONTENT_TYPE, PROTOCOL_HEADER, RENDER } from '../../shared/protocol'
import { isSecretPosition } from '../../shared/secret-epoch'
import type { SSEMessage } from '../../shared/types'
import { partOf } from '../../shared/whole-position'
import { warnOnce } from '../dev-warnings'

/** Maximum time that one call may delay a render, in milliseconds. */
export const READ_TIMEOUT_MS = 3_000
/** Number of messages after which the server stops polling, and the browser reads the rest. One poll returns at most 1,000. */
const READ_MESSAGES = 10_000

type PageEvent = NonNullable<ReturnType<typeof useRequestEvent>>

/** `fetch` for this application's routes, without a socket and with the headers of the page's request. */
type OwnFetch = (path: string, init: RequestInit) => Promise<Response>

/** Progress of the reading, as part of a client's state. */
export type SoFar = Partial<SSEClientState>

/** Result for a route that the server cannot read, but perhaps the browser can. */
const unreadable = Symbol('unreadable')

/**
 * Reads the messages so far of a route of this application, without a socket, on behalf of the user who requested the page. It polls until
 * there are no more messages, `take` returns `true`, or a limit is reached.
 *
 * Never throws: a failure is returned as `error`. `undefined`: nothing was read.
 */
export async function readSoFar(nuxtApp: NuxtApp, url: string, options: ResolvedClientOptions, take: (message: SSEMessage) => boolean | undefined): Promise<SoFar | undefined> {
  const event = useRequestEvent(nuxtApp)!
  const origin = await nuxtApp.runWithContext(() => useRequestURL())
  // A call whose URL is that of a page polls this page. Without this check, the page would read itself forever.
  if (event.headers.get('accept') === POLL_CONTENT_TYPE) return undefined
  const ownFetch = await nuxtApp.runWithContext(() => fetchOf(event))
  const path = ownPath(url, origin)
  if (path === undefined) {
    if (import.meta.dev) warnOnce(`\`ssr\` does nothing for ${url}. The browser connects as usual. Reason: the server reads only routes of this application`)
    return undefined
  }
  const reading = new AbortController()
  let timer: ReturnType<typeof setTimeout>
  const timeout = new Promise<'timeout'>(resolve => timer = setTimeout(resolve, READ_TIMEOUT_MS, 'timeout'))
  const { channel } = options
  let soFar: SoFar | undefined
  let position: string | undefined
  let count = 0
  try {
    while (true) {
      const page = await Promise.race([readPage(ownFetch, path, options, position, reading.signal), timeout])
      // The page shows the messages that were read, and the browser resumes after them.
      if (page === unreadable || (page === 'timeout' && soFar)) return soFar
      if (page === 'timeout' || page instanceof SSEError) {
        // A route of one channel refuses a position with a key: the browser reports that it lacks the channel.
        if (channel !== undefined && page !== 'timeout' && page.code === 'INVALID_POSITION') return undefined
        const error = page === 'timeout' ? clientError('CONNECT_TIMEOUT', `No data within ${READ_TIMEOUT_MS} ms`, undefined, 0, true) : page
        return isSharedPage(event) ? soFar : { ...soFar, error }
      }
      // A cached payload would pass the run that was started for this page on to every visitor.
      if (isSecretPosition(page.position) && isSharedPage(event)) return undefined
      position = page.position
      const own = channel === undefined ? undefined : page.channels?.[channel]
      if (channel !== undefined && !own) return undefined
      const { ended, error } = own ?? page
      const channels = page.channels && Object.fromEntries(Object.keys(page.channels).map(key => [key, false]))
      const gap = gapOf(page, channel) ?? soFar?.gap
      for (const sent of page.messages) {
        if (channel !== undefined && sent.channel !== channel) continue
        const [message, failure] = options.schema || options.events ? await (await options.loadFallback()).checkMessage!(sent, options, options.connectTimeoutMs) : [sent]
        if (failure) console.error('[nuxt-sse]', failure)
        else if (take(message)) return { ...soFar, channels, gap, position: own ? partOf(sent.id, channel!) : page.channels ? position : sent.id, ended: true }
      }
      soFar = { channels, position: own?.position ?? position, gap, ended }
      if (error) return { ...soFar, ended: false, error: new SSEError(error.code, error.message, { ...error, retry: false }) }
      count += page.messages.length
      if (ended || !page.messages.length || count >= READ_MESSAGES) return soFar
    }
  }
  catch (cause) {
    return { ...soFar, error: clientError('NETWORK', 'The poll failed', cause, 0, true) }
  }
  finally {
    clearTimeout(timer!)
    reading.abort()
  }
}

/** Last gap of a batch. On a route of several channels it names its channel; with `channel`, it is of that one. */
function gapOf({ gap, channels }: SSEBatch, channel: string | undefined): SSEClientState['gap'] {
  if (!channels) return gap ?? undefined
  return Object.entries(channels).flatMap(([key, { gap }]) => gap && (channel ?? key) === key ? [{ ...gap, channel: key }] : []).at(-1)
}

/** Own `fetch` of a page's request. Nuxt 5's events have none; the native `fetch` of its `useRequestFetch` does the same. */
function fetchOf(event: PageEvent): OwnFetch {
  if (!event.fetch) return (useRequestFetch() as unknown as { native: OwnFetch }).native
  return (path, { headers, ...init }) => event.fetch(path, {
    ...init,
    // `event.fetch` adds the page's headers. Its content length and its position do not apply to this request.
    headers: { ...{ 'content-length': undefined, 'last-event-id': undefined } as object, ...Object.fromEntries(headers as Headers) },
  })
}

/** Path of a URL on this host; `undefined` for another host, which must not receive the user's cookies and headers. */
function ownPath(url: string, origin: URL): string | undefined {
  if (!URL.canParse(url, origin)) return undefined
  const { host, pathname, search } = new URL(url, origin)
  return host === origin.host ? pathname + search : undefined
}

/** Whether the page is prerendered or cached, and so served to many. An error of its rendering does not concern them. */
export function isSharedPage({ context: { cache, _nitro } }: PageEvent): boolean {
  return import.meta.prerender || !!(cache || _nitro?.routeRules?.isr)
}

async function readPage(ownFetch: OwnFetch, path: string, options: ResolvedClientOptions, position: string | undefined, signal: AbortSignal): Promise<SSEBatch | SSEError | typeof unreadable> {
  const { channel, position: requested } = options
  const keyed = channel === undefined || requested === undefined ? requested : `${channel}:${requested}`
  const request = await prepareRequest(path, { ...options, position: keyed, fetch: ownFetch as typeof fetch }, () => ({ position }), signal).catch(cause => cause instanceof SSEError ? cause : clientError('REQUEST_FAILED', 'An option threw', cause, 0, true))
  if (request instanceof SSEError) return request
  const { url, init: { headers, method, body } } = request
  // Determines the content type of forms and similar bodies, as `fetch` does.
  const sent = body === undefined ? undefined : new Response(body)
  for (const [name, value] of sent?.headers ?? []) if (!headers.has(name)) headers.set(name, value)
  headers.set('accept', POLL_CONTENT_TYPE)
  headers.set(PROTOCOL_HEADER, RENDER)
  const response = await ownFetch(addQuery(url, { transport: 'poll', waitMs: 0, position }), {
    method,
    body: sent && new Uint8Array(await sent.arrayBuffer()),
    headers,
  })
  if (response.status >= 300 && response.status < 400) return skip(url, `it redirects to ${response.headers.get('location')} (${response.status})`)
  const refusal = await readRefusal(response, POLL_CONTENT_TYPE, 'INVALID_BATCH')
  if (refusal?.type === 'ended') return { type: 'batch', messages: [], position: position!, ended: true, gap: null, pollMs: 0 }
  if (refusal?.type === 'failed') {
    // 200: another kind of route, perhaps a foreign event stream, which the browser can read.
    return [200, 406].includes(refusal.error.statusCode) ? skip(url, refusal.error.message) : refusal.error
  }
  if (refusal) return clientError('HTTP_ERROR', 'The driver cannot be reached', undefined, 503, true)
  const text = await response.text()
  const batch = JSON.parse(text) as SSEBatch
  if (batch?.type !== 'batch') return skip(url, 'the response is not a batch of messages')
  // Nuxt's payload cannot hold such a key, and one message must not break the page of every user.
  if (text.includes('"__proto__"') && hasProto(text)) return skip(url, 'a message has a key `__proto__`, which a payload cannot hold')
  dropUnknown(batch)
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

function skip(url: string, why: string): typeof unreadable {
  if (import.meta.dev) warnOnce(`\`ssr\` does nothing for ${url}. The browser connects as usual. Reason: ${why}`)
  return unreadable
}
