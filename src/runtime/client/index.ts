/** Entry of `nuxt-sse/client`, which depends on neither Vue, Nuxt nor Node. */
export { openSSE } from './open-sse'
export type { OpenSSEOptions, SSESource } from './open-sse'
export { SSEError } from '../shared/errors'
export type { SSEErrorCode } from '../shared/errors'
export type { SSEIssue, SSESchema, SSESchemas } from '../shared/standard-schema'
export type { SSEMessage, SSEStatic, SSETransport } from '../shared/types'
export type { MaybeFresh, SSEClientOptions, SSEGap, SSEGapReason, SSEQuery, SSEReconnectOptions, SSEStatus } from './types'
