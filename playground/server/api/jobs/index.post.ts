import { randomUUID } from 'node:crypto'

/** Starts a job and answers at once; the job goes on by itself. */
export default defineEventHandler(async (event) => {
  const id = randomUUID()
  const channel = jobChannel(id)
  await channel.publish({ kind: 'progress', percent: 0, step: 'Starting' }, { event: 'progress' })
  // A run and not a pipe: when this process is gone, whoever watches is told.
  await channel.run(({ signal }) => runJob(signal), { event })
  return { id }
})
