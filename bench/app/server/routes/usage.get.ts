/** Usage of the process so far: CPU time of all its threads, and memory (`?gc=1`: after a collection). */
export default defineEventHandler((event) => {
  if (getQuery(event).gc) globalThis.gc!()
  const { user, system } = process.cpuUsage()
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
  return { cpuUs: user + system, userUs: user, systemUs: system, rss, heapUsed, external, arrayBuffers }
})
