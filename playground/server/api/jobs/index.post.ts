import { randomUUID } from 'node:crypto'
import process from 'node:process'

/** Starts a job and responds at once; the job continues by itself, in this process or in a worker. */
export default defineEventHandler(async (event) => {
  const { worker } = await readBody<{ worker?: unknown } | undefined>(event) ?? {}
  if (worker && useSSEStats().driver === 'memory') throw createError({ statusCode: 422, message: 'A worker needs Redis: no other process can reach channels in memory.' })
  const id = randomUUID()
  const channel = jobChannel(id)
  await channel.publish({ kind: 'progress', percent: 0, step: 'Starting' }, { event: 'progress' })
  if (worker) return { id, pid: startWorker(id) }
  // A run, not a pipe: if this process dies, the readers receive an error.
  await channel.run(({ signal }) => runJob(signal, `runs in server process ${process.pid}`), { event })
  return { id, pid: process.pid }
})
