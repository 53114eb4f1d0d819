import { invalidOption } from '../shared/errors'
import { bytes, flag, functionOf, lineOfText, milliseconds, object, oneOf, orFalse, overlay, whole } from '../shared/rules'
import type { Rules } from '../shared/rules'
import { resolveHeaders } from './http/own-headers'
import { DEFAULT_HANDLER_OPTIONS } from './options'
import type { LogRetention, ResolvedHandlerOptions, SSEHandlerOptions, SSEOwnHandlerOptions, SSERetention, SSERevalidate } from './options'

/** Minimum lease, in milliseconds. A lease is renewed three times within its duration; below this, renewals over a network are unreliable. */
const MIN_LEASE_MS = 300
/** Maximum lease, in milliseconds (one day): readers of a lost producer wait at most twice this. */
const MAX_LEASE_MS = 86_400_000
const MAX_HEARTBEAT_TEXT = 1_000

/** Interval of `revalidate`. */
const EVERY_MS = milliseconds()
const countOrFalse = orFalse(whole({ from: 1 }))

export const HANDLER_RULES: Rules<SSEOwnHandlerOptions> = {
  heartbeatMs: orFalse(milliseconds()),
  heartbeatText: lineOfText(MAX_HEARTBEAT_TEXT),
  heartbeatAs: oneOf('comment', 'control'),
  headers: object('of header names and string values'),
  retryMs: milliseconds(),
  maxLifetimeMs: orFalse(milliseconds()),
  maxBufferedBytes: bytes(),
  maxMessageBytes: bytes(),
  from: oneOf('start', 'now'),
  retention: object('`{ maxMessages, maxAgeMs, maxBytes }`'),
  pollWaitMs: milliseconds({ from: 0 }),
  resumable: flag,
  resumeWindowMs: milliseconds(),
  leaseMs: milliseconds({ from: MIN_LEASE_MS, to: MAX_LEASE_MS }),
  leaveAfterMs: milliseconds({ from: 0 }),
  shutdownMs: milliseconds({ from: 0 }),
  maxConnections: countOrFalse,
  maxConnectionsPerClient: countOrFalse,
  trustProxy: countOrFalse,
  maxPublishPerSecond: countOrFalse,
  clientKey: functionOf('of the event'),
  revalidate: { test: isRevalidate, expected: 'an object `{ everyMs, check }`, with a whole number of milliseconds, at least 1, and a function' },
}

const RETENTION_RULES: Rules<SSERetention> = {
  maxMessages: whole({ from: 1 }),
  maxAgeMs: whole({ of: 'milliseconds', from: 1 }),
  maxBytes: bytes(),
}

/** Lays `options` over `base`. Throws `INVALID_OPTION` for an invalid value and for an unknown name. */
export function resolveHandlerOptions(options: SSEOwnHandlerOptions = {}, base = DEFAULT_HANDLER_OPTIONS): ResolvedHandlerOptions {
  const resolved = overlay(options, base, HANDLER_RULES)
  return { ...resolved, retention: resolveRetention(options.retention, base.retention), headers: resolveHeaders(options.headers, base.headers) }
}

/** Resolves the module's options. Functions cannot be passed from `nuxt.config` to the server: they are refused, not dropped. */
export function resolveModuleHandlerOptions(options: SSEHandlerOptions = {}): ResolvedHandlerOptions {
  for (const name of ['clientKey', 'revalidate'] as const) {
    const value = (options as SSEOwnHandlerOptions)[name]
    if (value !== undefined) throw invalidOption(`sse.${name}`, `set on a handler, \`defineSSEHandler(…, { ${name} })\`, because \`nuxt.config\` cannot pass functions to the server`, value)
  }
  const { retention: { named: _, ...retention }, ...resolved } = resolveHandlerOptions(options)
  // The module names no field: its retention is the default of channels without their own.
  return { ...resolved, retention }
}

/** Lays the fields that a handle names over the defaults, and records which fields were named. Throws `INVALID_OPTION`. */
export function resolveRetention(retention: Partial<SSERetention> | undefined, base: LogRetention): LogRetention {
  if (retention === undefined) return base
  const { named: inherited, ...defaults } = base
  const named = overlay<Partial<SSERetention>>(retention, { ...inherited }, RETENTION_RULES, 'retention')
  return { ...defaults, ...named, named }
}

function isRevalidate(value: unknown): boolean {
  const { everyMs, check } = (value ?? {}) as Partial<SSERevalidate>
  return EVERY_MS.test(everyMs) && typeof check === 'function'
}
