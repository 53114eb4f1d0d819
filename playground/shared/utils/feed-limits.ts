/** Maximum lengths, in characters. The form applies them, and the server enforces them. */
export const FEED_LIMITS = { title: 80, author: 40, text: 280 }
