import { randomBytes } from 'node:crypto'
import process from 'node:process'
import type { ResolvedModuleOptions } from './options'

/** Common to the module for Nuxt and the one for plain Nitro: adding the server's part to Nitro. */

/** Entry of `#sse/server`. The file is below `runtime/`. */
export const SERVER_INDEX = 'server/api/index'

/** Entry of `nuxt-sse/publisher`. The file is below `runtime/`. */
export const PUBLISHER_INDEX = 'publisher/index'

/**
 * Names that are auto-imported in `server/`, and importable from `#sse/server` or `nuxt-sse/server`: the index of the server API. Files are
 * below `runtime/`.
 */
export const SERVER_IMPORTS = [
  ['defineSSEHandler', 'server/api/define-sse-handler'],
  ['useSSEChannel', 'server/api/use-sse-channel'],
  ['useSSEChannels', 'server/api/use-sse-channels'],
  ['useSSEPresence', 'server/api/use-sse-presence'],
  ['defineSSEChannel', 'server/channel/define-sse-channel'],
  ['disconnectSSE', 'server/api/disconnect-sse'],
  ['sseMessage', 'server/wire/message'],
  ['getSSEPosition', 'server/api/get-sse-position'],
  ['useSSEStats', 'server/api/use-sse-stats'],
  ['defineSSEMetricsHandler', 'server/api/define-sse-metrics-handler'],
  ['createSSEConnection', 'server/api/create-sse-connection'],
  ['setSSERedisClient', 'server/api/set-sse-redis-client'],
  ['setSSEDriver', 'server/api/set-sse-driver'],
  ['createSSETicket', 'server/api/create-sse-ticket'],
  ['requireSSETicket', 'server/api/require-sse-ticket'],
  ['SSEError', 'shared/errors'],
] as const

/** Bundled, so that tree-shaking removes them from applications without tickets; as externals they would be copied in any case. */
export const BUNDLED_PACKAGES = ['jose/']

/** Plugin that runs when the server starts. Files are below `runtime/`. */
export const SERVER_PLUGIN = { nitro2: 'server/entry/nitro2-plugin', nitro3: 'server/entry/nitro3-plugin' } as const

/** Route by which clients detect whether their network lets streams through. The file is below `runtime/`. */
export const PROBE_ROUTE = { route: '/__sse/probe', method: 'get', file: 'server/entry/probe-route', rules: { cache: false } } as const

export interface ServerTarget {
  /** Major version of Nitro: 2 uses h3 1, 3 uses h3 2. @default 2 */
  nitroMajor?: number
  /** Whether the options select Redis at build time. */
  redis: boolean
  /** Whether the target is Node, and so has Node's response. Nitro's presets define it. @default true */
  node?: boolean
  /** Whether connections outlive a request. If not, Redis is left out. @default true */
  connections?: boolean
}

/** Aliases of the server's parts that are chosen when an application is built. `runtime` resolves a path below `runtime/`. */
export function serverAliases({ nitroMajor = 2, redis, node = true, connections = true }: ServerTarget, runtime: (path: string) => string): Record<string, string> {
  const framework = nitroMajor === 3 ? 'nitro3' : 'nitro2'
  const aliases = {
    '#sse/server': SERVER_INDEX,
    // Same file, by a name that TypeScript resolves by itself: Nitro 3 writes no TypeScript configuration for the alias.
    'nuxt-sse/server': SERVER_INDEX,
    // A file that defines channels may be used by a server and by a worker. In a server, it must share the server's channels.
    'nuxt-sse/publisher': PUBLISHER_INDEX,
    '#sse/h3': `${framework}/h3`,
    '#sse/nitro': `${framework}/nitro`,
    '#sse/node-response': node && framework === 'nitro2' ? 'nitro2/node-response' : 'nitro2/no-node-response',
    '#sse/redis': `server/drivers/redis/build/redis-${connections ? 'included' : 'excluded'}`,
    '#sse/ioredis': `server/drivers/redis/build/ioredis-${redis ? 'bundled' : 'installed'}`,
  }
  return Object.fromEntries(Object.entries(aliases).map(([name, path]) => [name, runtime(path)]))
}

/**
 * Aliases that only the server has, and not the pages that it renders. In `server/`, `nuxt-sse/ai` has the handler beside the transport, and
 * compiles with the application.
 */
export function nitroAliases(runtime: (path: string) => string): Record<string, string> {
  return { 'nuxt-sse/ai': runtime('ai/server-entry') }
}

/** Whether to bundle ioredis: only if the options select Redis at build time. Otherwise ioredis is resolved when a URL is set at run time. */
export function wantsRedis({ driver, redis }: ResolvedModuleOptions): boolean {
  return driver === 'redis' || redis.url !== '' || ['NUXT', 'NITRO'].some(prefix => process.env[`${prefix}_SSE_DRIVER`] === 'redis' || !!process.env[`${prefix}_SSE_REDIS_URL`])
}

/** Runtime config, which the environment may override (`NUXT_SSE_HEARTBEAT_MS` and so on). `existing` is the application's own entry. */
export function serverConfig({ handler, driver, redis, ticketSecret }: ResolvedModuleOptions, existing: unknown, dev: boolean): Record<string, unknown> {
  // In development, one random secret for as long as the server runs: tickets outlive a restart of its worker. Never in a build, whose
  // users would all share it.
  const signing = ticketSecret.length || !dev ? ticketSecret.join(',') : randomBytes(32).toString('base64url')
  return { ...handler, driver, redis, ticketSecret: signing, ...existing as object }
}
