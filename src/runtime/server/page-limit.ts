/** About what one reader is handed at a time, and so the most that a reader which stops reading has in its socket. */
export const PAGE_LIMIT = { messages: 4_096, bytes: 262_144 }
