import type { ServerResponse } from 'node:http'
import type { H3Event } from 'h3'
import { getRouteRules, useRuntimeConfig } from 'nitropack/runtime'
import { STREAM_HEADERS } from '../server/http/response-headers'

type Fetch = (url: string, init?: RequestInit) => Promise<Response>

interface NitroApp {
  hooks: { hook(name: 'request', listener: (event: H3Event) => void): unknown }
  localFetch: unknown
}

interface ProxyRules {
  proxy?: { fetch?: Fetch }
}

/**
 * Makes `proxy` rules in `routeRules` disconnect from their target when the client leaves. h3 1 reads a proxied response to its end,
 * whether or not its own client is connected: a stream proxied by such a rule would stay open forever.
 */
export function hangUpProxies({ hooks, localFetch }: NitroApp): void {
  const { routeRules = {} } = useRuntimeConfig().nitro as { routeRules?: Record<string, ProxyRules> }
  if (!Object.values(routeRules).some(({ proxy }) => proxy)) return
  hooks.hook('request', (event) => {
    // Nitro's own handler of rules runs next, and reads the same object.
    const rules = getRouteRules(event) as ProxyRules
    if (rules.proxy) rules.proxy = { ...rules.proxy, fetch: whileConnected(event.node.res, rules.proxy.fetch ?? localFetch as Fetch) }
  })
}

/** `fetch` whose event streams end when `response` is closed, and are read only as fast as it is. Other responses are unchanged. */
export function whileConnected(response: ServerResponse, fetch: Fetch): Fetch {
  return async (url, init) => {
    const answer = await fetch(url, init)
    const { body, status, statusText, headers } = answer
    if (!body || !headers.get('content-type')?.startsWith(STREAM_HEADERS['content-type'])) return answer
    return new Response(readWhileConnected(body, response), { status, statusText, headers })
  }
}

function readWhileConnected(body: ReadableStream<Uint8Array>, response: ServerResponse): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  let isOver = false
  const leave = () => {
    isOver = true
    reader.cancel().catch(() => {})
  }
  return new ReadableStream({
    start(controller) {
      const onClose = () => {
        if (isOver) return
        leave()
        controller.close()
      }
      if (response.closed || response.destroyed) return onClose()
      response.once('close', onClose)
    },
    async pull(controller) {
      await roomIn(response)
      if (isOver) return
      const { done, value } = await reader.read()
      if (isOver) return
      if (!done) return controller.enqueue(value)
      isOver = true
      controller.close()
    },
    cancel: leave,
  })
}

function roomIn(response: ServerResponse): Promise<void> | undefined {
  if (!response.writableNeedDrain) return undefined
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}
