/** Messages of a running job. */
export type JobNews
  = | { kind: 'progress', percent: number, step: string }
    | { kind: 'log', line: string }
    | { kind: 'result', pages: number, words: number, ms: number }
