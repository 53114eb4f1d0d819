/** Event of an OpenAI-compatible API. */
export interface CompletionChunk {
  choices: { delta: { content?: string | null } }[]
}

/**
 * Messages of an answer: its words as they are produced, and at its end the number of tokens and the duration. An OpenAI-compatible API sends its
 * own events.
 */
export type AnswerNews = { text: string } | { tokens: number, ms: number } | CompletionChunk

export interface Turn {
  /** ID of the answer. */
  id: string
  question: string
  answer: string
  /** Outcome at the answer's end: the model's figures, or the reason why it stopped. */
  outcome?: string
  /** Cut short, by a user or by a server that stopped. */
  cutShort?: boolean
  /** Still being produced. */
  running?: boolean
}
