export interface Notice {
  /** Name of the sender. */
  from: string
  text: string
  /** ISO 8601. */
  at: string
}

/** Method by which a stream of notices authenticates its reader. */
export type SignInWay = 'cookie' | 'bearer' | 'ticket'
