import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Nitro as Nitro3 } from 'nitro/types'
import type { Nitro as Nitro2 } from 'nitropack/types'
import type { SSEHooks } from './runtime/server/insight/hooks'
import type { ModuleOptions } from './build/options'
import { assertOptions, resolveOptions } from './build/options'
import { adaptToPlatform } from './build/platform'
import { BUNDLED_PACKAGES, PROBE_ROUTE, PUBLISHER_INDEX, SERVER_IMPORTS, SERVER_INDEX, SERVER_PLUGIN, serverConfig, wantsRedis } from './build/server-parts'

/** Options under `sse` in `nitro.config`: the module options of Nuxt without those for the browser. */
export type NitroModuleOptions = Omit<ModuleOptions, 'client'>

declare module 'nitropack/types' {
  interface NitroConfig { sse?: NitroModuleOptions }
  interface NitroOptions { sse?: NitroModuleOptions }
}

declare module 'nitro/types' {
  interface NitroConfig { sse?: NitroModuleOptions }
  interface NitroOptions { sse?: NitroModuleOptions }
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  interface NitroRuntimeHooks extends SSEHooks {}
}

/** Declarations of this file: a program that includes them knows the option `sse`. */
const typesOfThis = fileURLToPath(import.meta.url).replace(/\.mjs$/, '.d.mts')
const runtimeDir = fileURLToPath(new URL('runtime', import.meta.url))
const runtime = (path: string) => join(runtimeDir, path)

/** Module for both versions of Nitro, whose type therefore names neither. */
export interface SSENitroModule {
  name: string
  setup(nitro: object): void
}

/**
 * Server's part for Nitro 2 and 3 without Nuxt: `modules: ['nuxt-sse/nitro']`. Auto-imports where they are on, `#sse/server` everywhere. At
 * run time the environment may override options: `NITRO_SSE_HEARTBEAT_MS` and so on.
 */
export default {
  name: 'nuxt-sse',
  setup(nitro) {
    const { options } = nitro as Nitro2 | Nitro3
    const isNitro3 = (nitro as Partial<Nitro3>).meta?.majorVersion === 3
    assertOptions(options.sse)
    const resolved = resolveOptions(options.sse)
    options.runtimeConfig.sse = serverConfig(resolved, options.runtimeConfig.sse, options.dev) as typeof options.runtimeConfig.sse
    adaptToPlatform(nitro as Nitro2 | Nitro3, { nitroMajor: isNitro3 ? 3 : 2, redis: wantsRedis(resolved) }, runtime)
    options.plugins.push(runtime(isNitro3 ? SERVER_PLUGIN.nitro3 : SERVER_PLUGIN.nitro2))
    if (resolved.probe) {
      const { route, method, file, rules } = PROBE_ROUTE
      options.handlers.push({ route, method, handler: runtime(file), lazy: true } as never)
      // A route rule for all pages that enables caching would hold the probe back until it is over.
      options.routeRules = { ...options.routeRules, [route]: { ...rules, ...options.routeRules?.[route] } } as never
    }
    // The package's files import by alias, so they must be bundled.
    if (isNitro3) adaptToNitro3(options as Nitro3['options'])
    else adaptToNitro2(options as Nitro2['options'])
  },
} satisfies SSENitroModule as SSENitroModule

function adaptToNitro3(options: Nitro3['options']): void {
  if (options.noExternals !== true) options.noExternals = [...options.noExternals || [], runtimeDir, ...BUNDLED_PACKAGES]
}

/** Only Nitro 2 has auto-imports by default, and writes a TypeScript configuration. */
function adaptToNitro2(options: Nitro2['options']): void {
  if (options.imports) {
    options.imports.imports = [...options.imports.imports ?? [], ...SERVER_IMPORTS.map(([name, path]) => ({ name, from: runtime(path) }))]
  }
  options.externals = { ...options.externals, inline: [...options.externals?.inline ?? [], runtimeDir, ...BUNDLED_PACKAGES] }
  tellTypeScript(options.typescript)
}

/** Nitro's `tsconfig.json` supports neither aliases nor modules that are named by a string. */
function tellTypeScript(typescript: Nitro2['options']['typescript']): void {
  const { files, compilerOptions, ...rest } = typescript.tsConfig ?? {}
  typescript.tsConfig = {
    ...rest,
    files: [...files ?? [], typesOfThis],
    compilerOptions: { ...compilerOptions, paths: { ...compilerOptions?.paths, '#sse/server': [runtime(SERVER_INDEX)], 'nuxt-sse/publisher': [runtime(PUBLISHER_INDEX)] } },
  }
}
