export interface Notice {
  /** The name of whoever sent it. */
  from: string
  text: string
  /** ISO 8601. */
  at: string
}

/** How a stream of notices proves who reads it. */
export type SignInWay = 'cookie' | 'bearer' | 'ticket'
