/** For applications that asked for Redis when they were built: the bundler sees the import and includes the package. */
export const loadIoredis = (): Promise<typeof import('ioredis')> => import('ioredis')
