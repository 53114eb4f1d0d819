/** What a job says while it runs. */
export type JobNews
  = | { kind: 'progress', percent: number, step: string }
    | { kind: 'log', line: string }
    | { kind: 'result', pages: number, words: number, ms: number }
