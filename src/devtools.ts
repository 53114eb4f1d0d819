import { addServerHandler, addServerPlugin } from '@nuxt/kit'
import type { Nuxt } from '@nuxt/schema'

const ROUTE = '/__sse'

// Not an icon's name: those are fetched from the network when they are shown.
const ICON = `data:image/svg+xml,${encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#00b37e" stroke-width="3.5" stroke-linecap="round"><path d="M6 22h14M6 16h20M6 10h9"/></svg>')}`

/**
 * The tab in Nuxt DevTools: a page of the development server itself, which is where the open streams are. A build for
 * production gets nothing of it.
 */
export function setupDevtools(nuxt: Nuxt, resolve: (path: string) => string): void {
  if (!nuxt.options.dev || !isEnabled(nuxt.options.devtools)) return
  for (const route of [ROUTE, `${ROUTE}/**`]) addServerHandler({ route, handler: resolve('./runtime/server/devtools/handler') })
  addServerPlugin(resolve('./runtime/server/devtools/plugin'))
  // Typed by whichever Nitro is there, which a build of this package does not know.
  nuxt.hook('nitro:config', (config) => {
    const { serverAssets = [] } = config as { serverAssets?: { baseName: string, dir: string }[] }
    Object.assign(config, { serverAssets: [...serverAssets, { baseName: 'sse-devtools', dir: resolve('./runtime/server/devtools/page') }] })
  })
  nuxt.options.runtimeConfig.sseDevtools = { route: ROUTE, allowedHosts: allowedHosts(nuxt) }
  nuxt.hook('devtools:customTabs', (tabs) => {
    tabs.push({ name: 'sse', title: 'Server-sent events', icon: ICON, category: 'server', view: { type: 'iframe', src: `${nuxt.options.app.baseURL.replace(/\/$/, '')}${ROUTE}` } })
  })
}

function isEnabled(devtools: Nuxt['options']['devtools'] | boolean | undefined): boolean {
  return devtools === true || (typeof devtools === 'object' && devtools.enabled === true)
}

/** The names that this development server goes by, besides those that no stranger can have. */
function allowedHosts({ options: { vite, devServer } }: Nuxt): string[] | true {
  const allowed = vite.server?.allowedHosts
  if (allowed === true) return true
  return [...allowed ?? [], ...devServer.host ? [devServer.host] : []]
}
