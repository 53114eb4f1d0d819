import { addImports, addNitroPlugin, addServerImports, createResolver, defineNuxtModule, getNitroVersion } from '@nuxt/kit'
import type { ModuleOptions } from './options'
import { resolveOptions } from './options'
import { SERVER_IMPORTS, SERVER_PLUGIN, serverAliases, serverConfig, wantsRedis } from './server-parts'
import { usesSharing } from './uses-sharing'

export type { ModuleOptions } from './options'

export default defineNuxtModule<ModuleOptions>({
  meta: {
    name: 'nuxt-sse',
    configKey: 'sse',
    // Tested with Nuxt 4.5 on nitropack 2.13 and h3 1.15, and with the nightly of Nuxt 5 on Nitro 3 and h3 2.
    compatibility: { nuxt: '^4.0.0 || ^5.0.0' },
  },
  async setup(options, nuxt) {
    const { resolve } = createResolver(import.meta.url)
    const runtime = (path: string) => resolve('./runtime', path)
    const resolved = resolveOptions(options)

    const { runtimeConfig } = nuxt.options
    runtimeConfig.sse = serverConfig(resolved, runtimeConfig.sse) as typeof runtimeConfig.sse

    const redis = wantsRedis(resolved)
    const nitro = getNitroVersion(nuxt)
    // The prerenderer runs on Node, whatever the application is built for.
    Object.assign(nuxt.options.alias, serverAliases({ nitro, redis, node: true }, runtime))
    nuxt.hook('nitro:init', ({ options: { alias, node } }) => void Object.assign(alias, serverAliases({ nitro, redis, node }, runtime)))

    addServerImports(SERVER_IMPORTS.map(([name, path]) => ({ name, from: runtime(path) })))
    addNitroPlugin({ nitro2: runtime(SERVER_PLUGIN.nitro2), nitro3: runtime(SERVER_PLUGIN.nitro3) })

    // In development an application may begin to share at any time.
    const shares = resolved.client.share ?? (nuxt.options.dev || await usesSharing(nuxt.options._layers.map(layer => layer.config.rootDir)))
    nuxt.options.alias['#sse/sharing'] = runtime(`client/sharing/${shares ? 'shared-client' : 'left-out'}`)
    addImports({ name: 'useSSE', from: runtime('app/composables/use-sse') })
  },
})
