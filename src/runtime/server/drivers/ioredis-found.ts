// A name that no bundler can read: applications that do not ask for Redis must not get it.
const name = ['io', 'redis'].join('')

/** For applications that did not ask for Redis when they were built: should a url come at run time, the package is looked up where the server runs. */
export const loadIoredis = (): Promise<typeof import('ioredis')> => import(/* @vite-ignore */ name)
