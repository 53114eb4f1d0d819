/** Made by the module: loads the Redis client, which is bundled only for applications that ask for it. */
declare module '#sse/ioredis' {
  export const loadIoredis: () => Promise<typeof import('ioredis')>
}
