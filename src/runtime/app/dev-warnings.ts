import { getCurrentScope, isRef } from 'vue'
import { canElect } from '../client/sharing/key'
import type { SSEClientOptions, SSEClientState } from '../client/types'
import type { SSEMessage } from '../shared/types'
import type { SSEError } from '../shared/errors'
import type { UseSSEOptions } from './call'

/** Maximum number of connections of a browser to one origin over HTTP/1.1, in all tabs together. */
const MAX_HTTP1_CONNECTIONS = 6

const shown = new Set<string>()

/** Origin of each open stream of this page, by the key of its connection. */
const live = new Map<unknown, string>()

/** Names of all options. The compiler reports a missing one. */
const OPTIONS = {
  immediate: 1, enabled: 1, initial: 1, reduce: 1, keep: 1, on: 1, onGap: 1, onError: 1, onEnd: 1, ssr: 1, share: 1,
  method: 1, query: 1, headers: 1, body: 1, credentials: 1, fetch: 1, channel: 1, position: 1, parse: 1, until: 1, transports: 1, reconnect: 1, connectTimeoutMs: 1, silenceTimeoutMs: 1, pauseWhenHidden: 1, schema: 1, events: 1,
} satisfies Record<keyof UseSSEOptions<SSEMessage, unknown> | keyof SSEClientOptions, 1>

/** Options that may be refs. */
const TAKE_REFS = ['query', 'headers', 'body', 'enabled']

/** Logs a warning for the developer, each text once. Use it only under `import.meta.dev`, so that builds do not contain it. */
export function warnOnce(text: string): void {
  if (shown.has(text)) return
  shown.add(text)
  console.warn(`[nuxt-sse] ${text}`)
}

/** Warns of a call outside a component, which nothing ends, and of misspelt options, which have no effect. */
export function warnOfCall(url: string, options: object): void {
  const unknown = Object.keys(options).filter(name => !Object.hasOwn(OPTIONS, name))
  if (unknown.length) warnOnce(`useSSE('${url}') has no option \`${unknown.join('`, `')}\`, which has no effect. The options are ${Object.keys(OPTIONS).map(name => `\`${name}\``).join(', ')}.`)
  for (const [name, value] of Object.entries(options)) {
    if (isRef(value) && !TAKE_REFS.includes(name)) warnOnce(`The option \`${name}\` of useSSE('${url}') is a ref, and takes a value: it does not follow the ref.`)
  }
  if (!getCurrentScope()) warnOnce(`useSSE('${url}') was called outside a component's setup: nothing will end its connection. Call it in setup, before the first \`await\` of a plain function, or in an \`effectScope()\` that you stop.`)
}

/**
 * Checks a result of `reduce` against the state `before`. Vue renders only a new object, and a `reduce` without a result is likely a mistake.
 */
export function watchReduce(url: string, before: unknown): (after: unknown) => void {
  const size = sizeOf(before)
  return (after) => {
    if (before !== undefined && after === undefined) warnOnce(`\`reduce\` of useSSE('${url}') returned nothing: return the next value of \`data\`.`)
    else if (after === before && size !== sizeOf(after)) warnOnce(`\`reduce\` of useSSE('${url}') changed its first argument: return a new value, such as \`[...all, message.data]\`. Otherwise \`data\` is not rendered again, and \`initial\` changes.`)
  }
}

function sizeOf(value: unknown): number | undefined {
  const { length, size } = (typeof value === 'object' && value !== null ? value : {}) as { length?: number, size?: number }
  return length ?? size
}

/** Checks each new state of a connection, for errors and for too many streams. Calls that share a connection have the same `key`. */
export function warnOfState(key: unknown, url: string, { status, transport, error }: SSEClientState): void {
  if (error) warnOfError(url, error)
  if (transport !== 'stream' || (status !== 'connecting' && status !== 'connected')) return void live.delete(key)
  const { origin } = new URL(url, location.href)
  live.set(key, origin)
  const open = [...live.values()].filter(one => one === origin).length
  if (open >= MAX_HTTP1_CONNECTIONS && isHttp1(origin)) {
    warnOnce(`${MAX_HTTP1_CONNECTIONS} streams are open to ${origin}, which speaks HTTP/1.1: a browser opens no more over all tabs, and other requests wait. Share one connection (\`share: 'page'\` or \`share: 'browser'\`), put several sources into one channel, or serve HTTP/2.`)
  }
}

/** Warns if there are no Web Locks: `share: 'browser'` then shares within the page only. */
export function warnUnsharable(): void {
  if (!canElect()) warnOnce('`share: \'browser\'` shares within the page only, since Web Locks are missing. Use HTTPS or localhost.')
}

/** Warns of errors that stay until the application is fixed. */
function warnOfError(url: string, error: SSEError): void {
  const { code, statusCode, message } = error
  if (code === 'NOT_EVENT_STREAM') warnOnce(`${message} ${howToStream(error)}`)
  else if (code === 'HTTP_ERROR' && (statusCode === 404 || statusCode === 405)) warnOnce(`${url} answered ${statusCode}: no server route has this URL and method, or its handler returned this status. Add a file to server/api, such as server/api/clock.get.ts for GET /api/clock.`)
  else if (statusCode === 500 && /^(?:INVALID|RESERVED)_/.test(code)) warnOnce(`${url}: ${message}`)
}

function howToStream({ message }: SSEError): string {
  return /\bhtml\b/.test(message)
    ? 'The response is a page: no server route has this URL and method.'
    : 'Return a generator or a channel from it: `export default defineSSEHandler(() => …)`. For a route that answers once, use `useFetch`.'
}

/** Whether the origin uses HTTP/1.1. Browsers use HTTP/2 only over TLS, where the timing of earlier requests names the protocol. */
function isHttp1(origin: string): boolean {
  if (origin.startsWith('http:')) return true
  const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')] as PerformanceResourceTiming[]
  return entries.some(({ name, nextHopProtocol }) => name.startsWith(`${origin}/`) && nextHopProtocol.startsWith('http/1'))
}
