import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

// In Nuxt's environment, `import.meta.url` is the URL of a page.
const root = pathToFileURL(join(import.meta.dirname, '../../'))

export const rootDir = fileURLToPath(root)

/** Applications of the end-to-end tests, built once for all of them. */
export const projects = {
  basic: fileURLToPath(new URL('test/fixtures/basic', root)),
  ssr: fileURLToPath(new URL('test/fixtures/ssr', root)),
  nodeCluster: fileURLToPath(new URL('test/fixtures/node-cluster', root)),
  playground: fileURLToPath(new URL('playground', root)),
}

/** Nitro without Nuxt, built for each tested runtime. */
export const nitroProject = fileURLToPath(new URL('test/fixtures/nitro', root))
export const nitroPresets = ['node-server', 'node-cluster', 'bun', 'deno-server', 'vercel', 'cloudflare-module']
/** Includes presets that the tests build only for one special feature. */
export const nitroBuilds = [...nitroPresets, 'node-listener']
export const nitroOutput = (preset: string): string => `${nitroProject}/.output/${preset}`
