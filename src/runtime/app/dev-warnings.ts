import { getCurrentScope } from 'vue'
import { canElect } from '../client/sharing/key'
import type { SSEClientOptions, SSEClientState } from '../client/types'
import type { SSEMessage } from '../shared/types'
import type { SSEError } from '../shared/errors'
import type { UseSSEOptions } from './call'

/** How many connections a browser opens to one origin over HTTP/1.1, in all its tabs together. */
const MAX_HTTP1_CONNECTIONS = 6

const said = new Set<string>()

/** The origin of each stream that is live in this page. */
const live = new Map<unknown, string>()

/** The names of all options: the compiler says when one is missing. */
const OPTIONS = {
  immediate: 1, enabled: 1, initial: 1, reduce: 1, keep: 1, on: 1, onGap: 1, onError: 1, onEnd: 1, ssr: 1, share: 1,
  method: 1, query: 1, headers: 1, body: 1, credentials: 1, fetch: 1, position: 1, parse: 1, until: 1, transports: 1, reconnect: 1, connectTimeoutMs: 1, silenceTimeoutMs: 1, pauseWhenHidden: 1, schema: 1, events: 1,
} satisfies Record<keyof UseSSEOptions<SSEMessage, unknown> | keyof SSEClientOptions, 1>

/** Warns the developer, once of each mistake. For use behind `import.meta.dev` only: builds contain nothing of it. */
export function warnOnce(text: string): void {
  if (said.has(text)) return
  said.add(text)
  console.warn(`[nuxt-sse] ${text}`)
}

/** Warns of a call that nothing will end, as it belongs to no component, and of misspelt options, which have no effect. */
export function warnOfCall(url: string, options: object): void {
  const unknown = Object.keys(options).filter(name => !Object.hasOwn(OPTIONS, name))
  if (unknown.length) warnOnce(`useSSE('${url}') has no option \`${unknown.join('`, `')}\`, which has no effect. There are ${Object.keys(OPTIONS).map(name => `\`${name}\``).join(', ')}.`)
  if (!getCurrentScope()) warnOnce(`useSSE('${url}') was called outside of a component's setup: nothing will end its connection. Call it in setup, before the first \`await\` of a plain function, or in an \`effectScope()\` that you stop.`)
}

/** Looks at what `reduce` makes of `before`. Vue only renders anew when it is another object; and one that returns nothing has most often forgotten to. */
export function watchReduce(url: string, before: unknown): (after: unknown) => void {
  const size = sizeOf(before)
  return (after) => {
    if (before !== undefined && after === undefined) warnOnce(`\`reduce\` of useSSE('${url}') returned nothing: return what \`data\` is to be.`)
    else if (after === before && size !== sizeOf(after)) warnOnce(`\`reduce\` of useSSE('${url}') changed what it was given: return a new value, such as \`[...all, message.data]\`. Only then is \`data\` rendered anew, and \`initial\` stays what it was.`)
  }
}

function sizeOf(value: unknown): number | undefined {
  const { length, size } = (typeof value === 'object' && value !== null ? value : {}) as { length?: number, size?: number }
  return length ?? size
}

/** Looks at each new state of a connection. Calls that share one have the same `key`. */
export function warnOfState(key: unknown, url: string, { status, transport, error }: SSEClientState): void {
  if (error) warnOfError(url, error)
  if (transport !== 'stream' || (status !== 'connecting' && status !== 'connected')) return void live.delete(key)
  const { origin } = new URL(url, location.href)
  live.set(key, origin)
  const open = [...live.values()].filter(one => one === origin).length
  if (open >= MAX_HTTP1_CONNECTIONS && isHttp1(origin)) {
    warnOnce(`${MAX_HTTP1_CONNECTIONS} streams are open to ${origin}, which speaks HTTP/1.1: a browser opens no more than that, over all tabs, and every other request waits. Let them have one connection (\`share: 'page'\` or \`share: 'browser'\`), put several sources into one channel, or serve HTTP/2.`)
  }
}

/** Without Web Locks, `share: 'browser'` shares within the page only. */
export function warnUnsharable(): void {
  if (!canElect()) warnOnce('`share: \'browser\'` shares within the page only: there are no Web Locks here. They need https, or localhost.')
}

/** Warns of errors that stay until somebody mends the application. */
function warnOfError(url: string, error: SSEError): void {
  const { code, statusCode, message } = error
  if (code === 'NOT_EVENT_STREAM') warnOnce(`${message} ${howToStream(error)}`)
  else if (code === 'HTTP_ERROR' && (statusCode === 404 || statusCode === 405)) warnOnce(`${url} answered ${statusCode}: unless its handler says so, no server route has this url and method. A route is a file in server/api, such as server/api/clock.get.ts for GET /api/clock.`)
  else if (statusCode === 500 && /^(?:INVALID|RESERVED)_/.test(code)) warnOnce(`${url}: ${message}`)
}

function howToStream({ message }: SSEError): string {
  return /\bhtml\b/.test(message)
    ? 'A page came in its place: no server route has this url and method.'
    : 'Return a generator or a channel there: `export default defineSSEHandler(() => …)`. For a route that answers once there is `useFetch`.'
}

/** Browsers speak HTTP/2 over TLS only. What is over TLS was asked for something before, at least for this page. */
function isHttp1(origin: string): boolean {
  if (origin.startsWith('http:')) return true
  const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')] as PerformanceResourceTiming[]
  return entries.some(({ name, nextHopProtocol }) => name.startsWith(`${origin}/`) && nextHopProtocol.startsWith('http/1'))
}
