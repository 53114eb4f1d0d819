import type { Notice } from '#shared/types/notice'

export const noticesOf = (user: string) => useSSEChannel<Notice>(`notices:${user}`)

/** Maximum time that a stream continues after its reader has signed out, in milliseconds. */
export const REVALIDATE_MS = 1_000
