import type { JobNews } from '#shared/types/job'

/** State of a job, folded from its messages. */
export interface Job {
  percent: number
  step: string
  lines: string[]
  result?: Extract<JobNews, { kind: 'result' }>
}

export function foldJob(job: Job, { data }: { data: JobNews }): Job {
  switch (data.kind) {
    case 'progress': return { ...job, percent: data.percent, step: data.step }
    case 'log': return { ...job, lines: [...job.lines, data.line].slice(-JOB_LOG_LINES) }
    case 'result': return { ...job, step: 'Done', result: data }
  }
}

export const JOB_LOG_LINES = 9

export const NEW_JOB: Job = { percent: 0, step: 'Waiting for news', lines: [] }
