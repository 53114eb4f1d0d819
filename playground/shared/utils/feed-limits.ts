/**
 * Maximum lengths, in characters: the form applies them, and the server enforces them. `posts`: number of posts that the channel stores.
 */
export const FEED_LIMITS = { title: 80, author: 40, text: 280, posts: 8 }
