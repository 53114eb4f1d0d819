import { defineSSEChannel, sseMessage } from 'nuxt-sse/publisher'
import type { JobNews } from '../../shared/types/job'
import { JOB_STEPS } from '../../shared/utils/job-steps'
import { pause } from './pause'

// The worker (`worker/index.ts`) imports this file as well, so it uses no auto-imports.

const TICKS_PER_STEP = 24
const TICK_MS = 200
const PATHS = ['guide/getting-started', 'guide/channels', 'guide/polling', 'reference/options', 'reference/errors', 'reference/wire', 'deploy/nginx', 'deploy/node', 'about']

export const jobChannel = defineSSEChannel<JobNews, [id: string]>(id => `job:${id}`, { retention: { maxMessages: 2_000 } })

/** About 25 seconds of real work, with progress messages. It needs no reader. */
export async function* runJob(signal: AbortSignal, place: string) {
  const startedAt = Date.now()
  let words = 0
  let pages = 0
  yield log(place)
  for (const [index, step] of JOB_STEPS.entries()) {
    yield log(`${step} …`)
    for (let tick = 1; tick <= TICKS_PER_STEP; tick++) {
      await pause(TICK_MS * (0.5 + Math.random()))
      if (signal.aborted) return
      const percent = Math.round(1000 * (index * TICKS_PER_STEP + tick) / (JOB_STEPS.length * TICKS_PER_STEP)) / 10
      yield sseMessage<JobNews, 'progress'>({ kind: 'progress', percent, step }, { event: 'progress' })
      if (tick % 6 === 0) {
        pages++
        words += 400 + Math.floor(Math.random() * 900)
        yield log(`${step.toLowerCase()}: /${PATHS[pages % PATHS.length]}`)
      }
    }
  }
  yield sseMessage<JobNews, 'result'>({ kind: 'result', pages, words, ms: Date.now() - startedAt }, { event: 'result' })
}

function log(line: string) {
  return sseMessage<JobNews, 'log'>({ kind: 'log', line }, { event: 'log' })
}
