// A name that no bundler can read: who does not ask for Redis must not get it.
const name = ['io', 'redis'].join('')

type Ioredis = typeof import('ioredis')

/** For all others, should a url come at run time: the package is looked for where the server runs. */
export const loadIoredis = (): Promise<Ioredis> => import(/* @vite-ignore */ name).catch(requireIoredis)

/** Above a `deno.json`, as Nitro writes one into what it builds, Deno imports nothing from an application's `node_modules`, and requires all the same. */
function requireIoredis(error: unknown): Ioredis {
  const module = globalThis.process?.getBuiltinModule?.('node:module')
  if (!module) throw error
  return module.createRequire(import.meta.url)(name)
}
