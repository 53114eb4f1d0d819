import { addImports, addNitroPlugin, addServerHandler, addServerImports, addVitePlugin, createResolver, defineNuxtModule, getNitroVersion } from '@nuxt/kit'
import { setupDevtools } from './build/devtools'
import { assertIoredis } from './build/find-ioredis'
import type { ModuleOptions } from './build/options'
import { assertOptions, resolveOptions } from './build/options'
import { adaptToPlatform } from './build/platform'
import { BUNDLED_PACKAGES, PROBE_ROUTE, SERVER_IMPORTS, SERVER_PLUGIN, serverAliases, serverConfig, wantsRedis } from './build/server-parts'
import { serverOnly } from './build/server-only'

export type { ModuleOptions } from './build/options'

export default defineNuxtModule<ModuleOptions>({
  meta: {
    name: 'nuxt-sse',
    configKey: 'sse',
    // Tested with Nuxt 4.5 on nitropack 2.13 and h3 1.15, and with the nightly of Nuxt 5 on Nitro 3 and h3 2.
    compatibility: { nuxt: '^4.0.0 || ^5.0.0' },
  },
  async setup(options, nuxt) {
    // Checked first: Nuxt merges it with the defaults, and would silently drop anything but an object.
    assertOptions((nuxt.options as { sse?: unknown }).sse)
    const { resolve } = createResolver(import.meta.url)
    const runtime = (path: string) => resolve('./runtime', path)
    const resolved = resolveOptions(options)

    const { runtimeConfig } = nuxt.options
    runtimeConfig.sse = serverConfig(resolved, runtimeConfig.sse, nuxt.options.dev) as typeof runtimeConfig.sse

    const redis = wantsRedis(resolved)
    if (redis && !nuxt.options._prepare) assertIoredis([nuxt.options.rootDir, ...nuxt.options.modulesDir, resolve('.')])
    const nitroMajor = getNitroVersion(nuxt)
    // The prerenderer runs on Node, whatever the target of the application is.
    Object.assign(nuxt.options.alias, serverAliases({ nitroMajor, redis, node: true }, runtime))
    // Types of the messages that routes stream, for `useSSE`: each version of Nuxt declares routes in its own way.
    nuxt.options.alias['#sse/routes'] = runtime(`nitro${nitroMajor === 3 ? 3 : 2}/routes`)
    nuxt.hook('nitro:init', nitro => adaptToPlatform(nitro, { nitroMajor, redis }, runtime))

    addServerImports(SERVER_IMPORTS.map(([name, path]) => ({ name, from: runtime(path) })))
    addNitroPlugin({ nitro2: runtime(SERVER_PLUGIN.nitro2), nitro3: runtime(SERVER_PLUGIN.nitro3) })
    if (resolved.probe) {
      const { route, method, file, rules } = PROBE_ROUTE
      addServerHandler({ route, method, handler: runtime(file), lazy: true })
      // A route rule for all pages that enables caching would hold the probe back until it is over.
      nuxt.options.routeRules = { ...nuxt.options.routeRules, [route]: { ...rules, ...nuxt.options.routeRules?.[route] } }
    }
    if (nitroMajor !== 3) {
      // Nitro 3 bundles every package that is not declared external.
      const nitro = nuxt.options.nitro as { externals?: { inline?: unknown[] } }
      nitro.externals = { ...nitro.externals, inline: [...nitro.externals?.inline ?? [], ...BUNDLED_PACKAGES] }
      // The tab's routes are written for Nitro 2.
      setupDevtools(nuxt, resolve)
    }

    // Tests may import both sides. In Nuxt 5 one Vite builds both.
    if (!nuxt.options.test && nitroMajor !== 3) addVitePlugin(serverOnly([runtime('server'), runtime('publisher')], nuxt.options.rootDir))

    addImports({ name: 'useSSE', from: runtime('app/composables/use-sse') })
    // In a file of its own: pages without presence do not load it.
    addImports({ name: 'reduceSSEPresence', from: runtime('app/reduce-sse-presence') })
  },
})
