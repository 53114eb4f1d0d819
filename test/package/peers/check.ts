/**
 * Evidence for a cell of the table in docs/guide/comparison.md. A function runs the library, and returns what it did. Where a run cannot show it,
 * a text names the place: in the library's code, or, as `test/…: title`, in a test of this repository.
 */
export type Check = (() => Promise<boolean>) | { no: string } | { yes: string }

/** By the title of the row; a peer that has no check in a row has no part in it. */
export type Checks = Record<string, Record<string, Check>>

export const OURS = 'nuxt-sse'
export const H3 = 'h3 `createEventStream`'
export const VUEUSE = 'VueUse `useEventSource`'
export const BETTER_SSE = '`better-sse`'
export const RESUMABLE_STREAM = '`resumable-stream`'
export const UPSTASH = '`@upstash/realtime`'
