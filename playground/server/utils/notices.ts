import type { Notice } from '#shared/types/notice'

export const noticesOf = (user: string) => useSSEChannel<Notice>(`notices:${user}`)

/** How long a stream may go on after its reader has signed out. */
export const REVALIDATE_MS = 1_000
