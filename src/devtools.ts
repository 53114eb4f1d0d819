import { addServerHandler, addServerPlugin } from '@nuxt/kit'
import type { Nuxt } from '@nuxt/schema'

const ROUTE = '/__sse'

/**
 * The tab in Nuxt DevTools: a page of the development server itself, which is where the open streams are. A build for
 * production gets nothing of it.
 */
export function setupDevtools(nuxt: Nuxt, resolve: (path: string) => string): void {
  if (!nuxt.options.dev || !hasDevtools(nuxt.options.devtools)) return
  for (const route of [ROUTE, `${ROUTE}/**`]) addServerHandler({ route, handler: resolve('./runtime/server/devtools/handler') })
  addServerPlugin(resolve('./runtime/server/devtools/plugin'))
  // Typed by whichever Nitro is there, which a build of this package does not know.
  nuxt.hook('nitro:config', (config) => {
    const { serverAssets = [] } = config as { serverAssets?: { baseName: string, dir: string }[] }
    Object.assign(config, { serverAssets: [...serverAssets, { baseName: 'sse-devtools', dir: resolve('./runtime/server/devtools/page') }] })
  })
  nuxt.options.runtimeConfig.sseDevtools = { route: ROUTE, allowedHosts: allowedHosts(nuxt) }
  // Typed by @nuxt/devtools, where a program has it.
  const onTabs = nuxt.hook as (name: string, listener: (tabs: object[]) => void) => void
  onTabs('devtools:customTabs', (tabs) => {
    const src = `${nuxt.options.app.baseURL.replace(/\/$/, '')}${ROUTE}`
    // Not the name of an icon: those are fetched from the network when they are shown.
    tabs.push({ name: 'sse', title: 'Server-sent events', icon: `${src}/icon.svg`, category: 'server', view: { type: 'iframe', src } })
  })
}

/** As Nuxt itself decides it: they are there unless somebody has said that they are not. */
export function hasDevtools(devtools: { enabled?: boolean } | boolean | undefined): boolean {
  return typeof devtools === 'boolean' ? devtools : devtools?.enabled !== false
}

/** The names that this development server goes by, besides those that no stranger can have. */
function allowedHosts({ options: { vite, devServer } }: Nuxt): string[] | true {
  const allowed = vite.server?.allowedHosts
  if (allowed === true) return true
  return [...allowed ?? [], ...devServer.host ? [devServer.host] : []]
}
