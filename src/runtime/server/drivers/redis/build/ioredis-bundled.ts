/** Loads ioredis in builds that enable Redis: the bundler sees the import and includes the package. */
export const loadIoredis = (): Promise<typeof import('ioredis')> => import('ioredis')
