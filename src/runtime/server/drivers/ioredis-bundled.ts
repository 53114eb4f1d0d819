/** For applications that asked for Redis when they were built: the bundler sees the import, and brings the package along. */
export const loadIoredis = (): Promise<typeof import('ioredis')> => import('ioredis')
