import { addServerHandler, addServerPlugin } from '@nuxt/kit'
import type { Nuxt } from '@nuxt/schema'

const ROUTE = '/__sse'

/**
 * Adds the tab in Nuxt DevTools: a page served by the development server itself, which has the open streams. Production builds contain none
 * of it.
 */
export function setupDevtools(nuxt: Nuxt, resolve: (path: string) => string): void {
  if (!nuxt.options.dev || !hasDevtools(nuxt.options.devtools)) return
  for (const route of [ROUTE, `${ROUTE}/**`]) addServerHandler({ route, handler: resolve('./runtime/server/devtools/handler') })
  addServerPlugin(resolve('./runtime/server/devtools/plugin'))
  // The config's type depends on the version of Nitro, which is unknown when this package is built.
  nuxt.hook('nitro:config', (config) => {
    const { serverAssets = [] } = config as { serverAssets?: { baseName: string, dir: string }[] }
    Object.assign(config, { serverAssets: [...serverAssets, { baseName: 'sse-devtools', dir: resolve('./runtime/server/devtools/page') }] })
  })
  nuxt.options.runtimeConfig.sseDevtools = { route: ROUTE, allowedHosts: allowedHosts(nuxt) }
  // Typed only where @nuxt/devtools is installed.
  const onTabs = nuxt.hook as (name: string, listener: (tabs: object[]) => void) => void
  onTabs('devtools:customTabs', (tabs) => {
    const src = `${nuxt.options.app.baseURL.replace(/\/$/, '')}${ROUTE}`
    // A file: Nuxt DevTools would fetch a named icon from the network.
    tabs.push({ name: 'sse', title: 'Server-sent events', icon: `${src}/icon.svg`, category: 'server', view: { type: 'iframe', src } })
  })
}

/** Follows Nuxt's own rule: DevTools are on unless they are turned off. */
export function hasDevtools(devtools: { enabled?: boolean } | boolean | undefined): boolean {
  return typeof devtools === 'boolean' ? devtools : devtools?.enabled !== false
}

/** Hosts that may request the tab, besides localhost and IP addresses. */
function allowedHosts({ options: { vite, devServer } }: Nuxt): string[] | true {
  const allowed = vite.server?.allowedHosts
  if (allowed === true) return true
  return [...allowed ?? [], ...devServer.host ? [devServer.host] : []]
}
