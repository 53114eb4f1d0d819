import type { ResolvedHandlerOptions } from '../options'
import { HEARTBEAT, encodeComment, encodeControl, encodeShared } from '../wire/encode'

const HEARTBEAT_BYTES = encodeShared(HEARTBEAT)
const CONTROL_HEARTBEAT_BYTES = encodeShared(encodeControl({ type: 'heartbeat' }))
/** By options, which all connections of a route share. */
const heartbeatTexts = new WeakMap<ResolvedHandlerOptions, Uint8Array>()

/** The bytes of one heartbeat, shared by all connections with these options. */
export function heartbeatOf(options: ResolvedHandlerOptions): Uint8Array {
  if (options.heartbeatAs === 'control') return CONTROL_HEARTBEAT_BYTES
  if (options.heartbeatText === '') return HEARTBEAT_BYTES
  let bytes = heartbeatTexts.get(options)
  if (!bytes) heartbeatTexts.set(options, bytes = encodeShared(encodeComment(options.heartbeatText)))
  return bytes
}
