import process from 'node:process'
import { createSSEPublisher } from 'nuxt-sse/publisher'
import { jobChannel, runJob } from '../server/utils/job'

// A process of its own, without Nitro. It runs one job, and publishes to the channel that the server reads. Like the server, it reads
// NUXT_SSE_REDIS_URL.
const [id = ''] = process.argv.slice(2)
const publisher = createSSEPublisher({ shutdownMs: 120_000 })
await jobChannel(id).run(({ signal }) => runJob(signal, `runs in worker process ${process.pid}`))
// Waits until the job is complete.
await publisher.close()
