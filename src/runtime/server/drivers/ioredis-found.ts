// A name that no bundler can read: who does not ask for Redis must not get it.
const name = ['io', 'redis'].join('')

/** For all others, should a url come at run time: the package is looked for where the server runs. */
export const loadIoredis = (): Promise<typeof import('ioredis')> => import(/* @vite-ignore */ name)
