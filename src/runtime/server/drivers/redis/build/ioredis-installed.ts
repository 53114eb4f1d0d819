// A name that no bundler can read: applications that do not ask for Redis must not get it.
const name = ['io', 'redis'].join('')

type Ioredis = typeof import('ioredis')

/** For applications that did not ask for Redis when they were built: should a url come at run time, the package is looked up where the server runs. */
export const loadIoredis = (): Promise<Ioredis> => import(/* @vite-ignore */ name).catch(requireIoredis)

/** Above a `deno.json`, as Nitro writes one into what it builds, Deno imports nothing from an application's `node_modules`, but does require it. */
function requireIoredis(error: unknown): Ioredis {
  const module = globalThis.process?.getBuiltinModule?.('node:module')
  if (!module) throw error
  return module.createRequire(import.meta.url)(name)
}
