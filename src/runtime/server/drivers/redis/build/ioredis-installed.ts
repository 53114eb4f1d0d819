// Hides the name from bundlers: builds that do not enable Redis must not include the package.
const name = ['io', 'redis'].join('')

type Ioredis = typeof import('ioredis')

/** Loads ioredis in builds that do not enable Redis: if a URL is set at run time, the package is resolved where the server runs. */
export const loadIoredis = (): Promise<Ioredis> => import(/* @vite-ignore */ name).catch(requireIoredis)

/**
 * Requires ioredis. Next to a `deno.json`, which Nitro writes into its output, Deno imports nothing from an application's `node_modules`,
 * but can require it.
 */
function requireIoredis(error: unknown): Ioredis {
  const module = globalThis.process?.getBuiltinModule?.('node:module')
  if (!module) throw error
  return module.createRequire(import.meta.url)(name)
}
