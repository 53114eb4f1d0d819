import { randomBytes } from 'node:crypto'
import process from 'node:process'
import { addImports, addServerImports, addServerPlugin, createResolver, defineNuxtModule } from '@nuxt/kit'
import { setupDevtools } from './devtools'
import { assertIoredis } from './find-ioredis'
import type { ModuleOptions } from './options'
import { assertOptions, resolveOptions } from './options'
import { usesSharing } from './uses-sharing'

export type { ModuleOptions } from './options'

/** Auto-imported in `server/`, and importable from `#sse/server`: the index of the server API. */
const SERVER_IMPORTS = [
  ['defineSSEHandler', 'define-sse-handler'],
  ['useSSEChannel', 'use-sse-channel'],
  ['sseMessage', 'sse-message'],
  ['getSSEPosition', 'get-sse-position'],
  ['useSSEStats', 'use-sse-stats'],
  ['createSSEConnection', 'create-sse-connection'],
  ['setSSERedisClient', 'set-sse-redis-client'],
  ['createSSETicket', 'create-sse-ticket'],
  ['requireSSETicket', 'require-sse-ticket'],
  ['setSSEDriver', 'set-sse-driver'],
] as const

export default defineNuxtModule<ModuleOptions>({
  meta: {
    name: 'nuxt-sse',
    configKey: 'sse',
    // Tested with Nuxt 4.5 on nitropack 2.13 and h3 1.15.
    compatibility: { nuxt: '^4.0.0' },
  },
  async setup(options, nuxt) {
    // A text, say, would be laid over the defaults, and forgotten.
    assertOptions((nuxt.options as { sse?: unknown }).sse)
    const { resolve } = createResolver(import.meta.url)
    const { driver, redis, handler, client, ticketSecret } = resolveOptions(options)

    // What the environment may override at run time: NUXT_SSE_HEARTBEAT_MS and so on.
    const { runtimeConfig } = nuxt.options
    // One for as long as `nuxt dev` runs: a ticket outlives a restart of its worker. Never in a build, where it would be everybody's.
    const signing = ticketSecret.length || !nuxt.options.dev ? ticketSecret.join(',') : randomBytes(32).toString('base64url')
    runtimeConfig.sse = { ...handler, driver, redis, ticketSecret: signing, ...runtimeConfig.sse as object } as typeof runtimeConfig.sse

    // Bundled only for who asks for it now; otherwise it is looked for when the url comes at run time.
    const wantsRedis = driver === 'redis' || redis.url !== '' || process.env.NUXT_SSE_DRIVER === 'redis' || !!process.env.NUXT_SSE_REDIS_URL
    if (wantsRedis && !nuxt.options._prepare) assertIoredis([nuxt.options.rootDir, ...nuxt.options.modulesDir, resolve('.')])
    nuxt.options.alias['#sse/ioredis'] = resolve(`./runtime/server/drivers/ioredis-${wantsRedis ? 'bundled' : 'found'}`)

    for (const [name, file] of SERVER_IMPORTS) {
      addServerImports([{ name, from: resolve(`./runtime/server/utils/${file}`) }])
    }
    addServerImports([{ name: 'SSEError', from: resolve('./runtime/shared/errors') }])
    nuxt.options.alias['#sse/server'] = resolve('./runtime/server/utils/index')
    // What is bundled is shaken off where there are no tickets; left outside, it would be copied nevertheless.
    const nitro = nuxt.options.nitro as { externals?: { inline?: unknown[] } }
    nitro.externals = { ...nitro.externals, inline: [...nitro.externals?.inline ?? [], 'jose/'] }
    addServerPlugin(resolve('./runtime/server/plugins/sse'))
    setupDevtools(nuxt, resolve)

    // In development an application may begin to share at any time.
    const shares = client.share ?? (nuxt.options.dev || await usesSharing(nuxt.options._layers.map(layer => layer.config.rootDir)))
    nuxt.options.alias['#sse/sharing'] = resolve(`./runtime/client/sharing/${shares ? 'shared-client' : 'left-out'}`)
    addImports({ name: 'useSSE', from: resolve('./runtime/app/composables/use-sse') })
  },
})
