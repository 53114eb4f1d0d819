import type { H3Event } from 'h3'
import type { Notice } from '#shared/types/notice'

export const noticesOf = (user: string) => useSSEChannel<Notice>(`notices:${user}`)

/** Key of a stream, set by a middleware: `disconnectSSE` ends the streams of a user by it. */
export const clientKey = ({ context }: H3Event) => context.userId as string | undefined

/** Maximum time that a stream continues after its reader has signed out, in milliseconds. */
export const REVALIDATE_MS = 1_000
