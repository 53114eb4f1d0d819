import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { NitroModule, NitroOptions } from 'nitropack/types'
import type { ModuleOptions } from './options'
import { assertOptions, resolveOptions } from './options'
import { adaptToPlatform } from './platform'
import { BUNDLED_PACKAGES, SERVER_IMPORTS, serverConfig, wantsRedis } from './server-parts'

/** `sse` in `nitro.config`: the module options of Nuxt, but for what is for its application. */
export type NitroModuleOptions = Omit<ModuleOptions, 'client'>

declare module 'nitropack/types' {
  interface NitroConfig { sse?: NitroModuleOptions }
  interface NitroOptions { sse?: NitroModuleOptions }
}

/** This file as TypeScript reads it: the options are known where it is looked at. */
const typesOfThis = fileURLToPath(import.meta.url).replace(/\.mjs$/, '.d.mts')
const runtimeDir = fileURLToPath(new URL('runtime', import.meta.url))
const runtime = (path: string) => join(runtimeDir, path)

/**
 * The server's part for Nitro without Nuxt: `modules: ['nuxt-sse/nitro']`. Auto-imports where they are on, `#sse/server`
 * everywhere. At run time the environment may override options: `NITRO_SSE_HEARTBEAT_MS` and so on.
 */
export default {
  name: 'nuxt-sse',
  setup(nitro) {
    const { options } = nitro
    assertOptions(options.sse)
    const resolved = resolveOptions(options.sse)
    options.runtimeConfig.sse = serverConfig(resolved, options.runtimeConfig.sse, options.dev) as typeof options.runtimeConfig.sse
    adaptToPlatform(nitro, wantsRedis(resolved), runtime)
    options.plugins.push(runtime('server/plugins/sse'))
    if (options.imports) {
      options.imports.imports = [...options.imports.imports ?? [], ...SERVER_IMPORTS.map(([name, path]) => ({ name, from: runtime(path) }))]
    }
    // A plain import of the package's files would not find the aliases.
    options.externals = { ...options.externals, inline: [...options.externals?.inline ?? [], runtimeDir, ...BUNDLED_PACKAGES] }
    tellTypeScript(options.typescript)
  },
} satisfies NitroModule

/** Of aliases, and of modules that a configuration names by a text, Nitro says nothing in its `tsconfig.json`. */
function tellTypeScript(typescript: NitroOptions['typescript']): void {
  const { files, compilerOptions, ...rest } = typescript.tsConfig ?? {}
  typescript.tsConfig = {
    ...rest,
    files: [...files ?? [], typesOfThis],
    compilerOptions: { ...compilerOptions, paths: { ...compilerOptions?.paths, '#sse/server': [runtime('server/utils/index')] } },
  }
}
