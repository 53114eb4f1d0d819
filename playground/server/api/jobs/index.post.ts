import { randomUUID } from 'node:crypto'

/** Starts a job and responds at once; the job continues by itself. */
export default defineEventHandler(async (event) => {
  const id = randomUUID()
  const channel = jobChannel(id)
  await channel.publish({ kind: 'progress', percent: 0, step: 'Starting' }, { event: 'progress' })
  // A run, not a pipe: if this process dies, the readers receive an error.
  await channel.run(({ signal }) => runJob(signal), { event })
  return { id }
})
