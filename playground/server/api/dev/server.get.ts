import process from 'node:process'

/** Capabilities of this server, for the controls of the pages. */
export default defineEventHandler(() => ({ hasRedis: useSSEStats().driver !== 'memory', isCluster: isCluster(), pid: process.pid }))
