/** About what one reader is handed at a time, and so the most that a reader which stops reading has in its socket. */
export const PAGE_LIMIT = { messages: 1_000, bytes: 65_536 }

/** What is read when a channel is opened: where it is all that there is, it is what is recent then, and one question to the log was enough. */
export const OPENING_LIMIT = { messages: 4_096, bytes: 262_144 }
