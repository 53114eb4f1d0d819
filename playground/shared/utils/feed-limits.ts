/** In characters. The form keeps to them, the server insists. */
export const FEED_LIMITS = { title: 80, author: 40, text: 280 }
