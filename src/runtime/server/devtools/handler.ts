import { createError, defineEventHandler, getRequestHeader, readBody, setResponseHeaders, setResponseStatus } from 'h3'
import type { H3Event } from 'h3'
import { useRuntimeConfig, useStorage } from 'nitropack/runtime'
import { SSEError } from '../../shared/errors'
import { Channel } from '../channel/channel'
import { useSSEContext } from '../entry/runtime-context'
import { serve } from '../serve/serve'
import { disconnectFromTab } from './disconnect'
import type { DevtoolsDisconnect } from './disconnect'
import { reasonToRefuse } from './guard'
import { startCursor } from './recorder'
import { devtoolsContext, recorder } from './plugin'

const EVERY_MS = 1_000

const TYPES: Record<string, string> = { 'index.html': 'text/html', 'style.css': 'text/css', 'main.js': 'text/javascript', 'icon.svg': 'image/svg+xml' }

/**
 * Loads nothing from other origins, and cannot be framed by them: a page that cannot read the tab must not trick its user into clicking
 * either.
 */
const POLICY = 'default-src \'none\'; script-src \'self\'; style-src \'self\'; connect-src \'self\'; img-src \'self\'; base-uri \'none\'; form-action \'none\'; frame-ancestors \'self\''

interface DevtoolsConfig {
  app: { baseURL: string }
  sseDevtools: { route: string, allowedHosts: string[] | true }
}

/** Tab in Nuxt DevTools: its page, its data and its actions. Registered in development only. */
export default defineEventHandler((event) => {
  const { app, sseDevtools: { route, allowedHosts } } = useRuntimeConfig() as unknown as DevtoolsConfig
  const header = (name: string) => getRequestHeader(event, name)
  const refusal = reasonToRefuse({ method: event.method, host: header('host'), origin: header('origin'), fetchSite: header('sec-fetch-site'), contentType: header('content-type') }, allowedHosts)
  if (refusal) throw createError({ statusCode: 403, message: `${refusal}` })

  const path = event.path.split('?')[0]!.slice(route.length).replace(/^\//, '')
  switch (`${event.method} ${path}`) {
    case 'GET stream': return serve(event, snapshots, devtoolsContext.options, devtoolsContext)
    case 'GET state': return recorder.snapshot(startCursor())
    case 'POST publish': return answer(event, publish)
    case 'POST disconnect': return answer(event, disconnect)
    default: return event.method === 'GET' ? sendAsset(event, path || 'index.html', `${app.baseURL.replace(/\/$/, '')}${route}`) : notFound()
  }
})

async function* snapshots() {
  const cursor = startCursor()
  while (true) {
    // A short outage of the driver does not end the stream.
    const snapshot = await recorder.snapshot(cursor).catch(error => ({ at: Date.now(), failed: String(error?.message ?? error) }))
    yield snapshot
    await new Promise(resolve => setTimeout(resolve, EVERY_MS))
  }
}

interface Publish { channel: string, event?: string, data: unknown }

async function publish({ channel, event, data }: Publish) {
  return { id: await new Channel(useSSEContext(), channel).publish(data, { event: event || undefined }) }
}

async function disconnect(body: DevtoolsDisconnect) {
  await disconnectFromTab(useSSEContext(), recorder, body)
  return {}
}

/** Responds to an action of the tab with its result, or with its error. */
async function answer<Body>(event: H3Event, action: (body: Body) => Promise<object>) {
  const body = (await readBody<Body | null>(event) ?? {}) as Body
  try {
    return await action(body)
  }
  catch (error) {
    if (!(error instanceof SSEError)) throw error
    setResponseStatus(event, error.statusCode)
    return { code: error.code, message: error.message }
  }
}

async function sendAsset(event: H3Event, name: string, base: string) {
  const type = Object.hasOwn(TYPES, name) ? TYPES[name] : notFound()
  const text = String(await useStorage('assets/sse-devtools').getItemRaw(name))
  setResponseHeaders(event, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store', 'content-security-policy': POLICY, 'x-frame-options': 'SAMEORIGIN', 'x-content-type-options': 'nosniff' })
  return text.replaceAll('%BASE%', base)
}

function notFound(): never {
  throw createError({ statusCode: 404, message: 'Page not found.' })
}
