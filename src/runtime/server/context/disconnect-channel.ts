import type { SSEPublicError } from '../../shared/errors'
import type { LogRetention } from '../options'

/** Internal channel of disconnects, which all instances read. No channel of an application may begin like this. */
export const INTERNAL_PREFIX = 'nuxt-sse:'
export const DISCONNECTS = `${INTERNAL_PREFIX}disconnects`

const RETENTION = { maxMessages: 100_000, maxAgeMs: 600_000, maxBytes: 67_108_864 }
export const DISCONNECTS_RETENTION: LogRetention = { ...RETENTION, named: RETENTION }

/** Message of the internal channel. */
export interface Disconnect {
  key: string
  /** Without it, clients are asked to reconnect. */
  error?: SSEPublicError
}
