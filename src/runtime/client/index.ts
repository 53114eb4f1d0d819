/** `nuxt-sse/client`: without Vue, Nuxt and Node. */
export { openSSE } from './open-sse'
export type { SSESource } from './open-sse'
export { SSEError } from '../shared/errors'
export type { SSEErrorCode } from '../shared/errors'
export type { SSEGap, SSEGapReason } from '../shared/protocol'
export type { SSEMessage, SSEStatic, SSETransport } from '../shared/types'
export type { MaybeFresh, SSEClientOptions, SSEQuery, SSEReconnectOptions, SSEStatus } from './types'
