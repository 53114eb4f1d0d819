/** What is told of an answer: its words as they come, and at its end what it took. */
export type AnswerNews = { text: string } | { tokens: number, ms: number }

export interface Turn {
  /** Of the answer. */
  id: string
  question: string
  answer: string
  /** How it came to its end: what the model said of its work, or why there is no more of it. */
  outcome?: string
  /** It was cut short, by whoever asked or by a server that has gone. */
  cutShort?: boolean
  /** It is still being written. */
  running?: boolean
}
