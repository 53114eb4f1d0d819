import { SSEError } from '../../shared/errors'
import type { ResolvedHandlerOptions } from '../options'
import { DEFAULT_HANDLER_OPTIONS } from '../options'
import type { PlatformLimits } from '../lib/platform/contract'
import { platform } from '../lib/platform/platform'

/** Share of an idle limit that is used, as timers are late. */
const SHARE_OF_IDLE = 0.75
const BUN_IDLE_SECONDS = 10
/** Interval of Bun's checks in seconds. A limit takes effect up to this much earlier than configured. */
const BUN_LOOKS_EVERY_SECONDS = 4

/**
 * Limits of the platform. `preset` is Nitro's, known when the application is built. `bunIdle` is the name of the variable that sets Bun's
 * idle limit in seconds, if the preset has one. Throws `INVALID_OPTION` for a limit that Bun cannot measure.
 */
export function platformLimits(preset: string | undefined, env: Record<string, string | undefined> = {}, bunIdle?: string): PlatformLimits {
  if (preset !== 'bun') return platform.limits
  const seconds = Number((bunIdle && env[bunIdle]) || BUN_IDLE_SECONDS)
  // 0 disables Bun's limit.
  if (!(seconds > 0)) return {}
  const idleMs = (Math.ceil(seconds / BUN_LOOKS_EVERY_SECONDS) - 1) * BUN_LOOKS_EVERY_SECONDS * 1_000
  // Shorter than Bun can measure: no heartbeat would help.
  if (idleMs === 0) throw new SSEError('INVALID_OPTION', `Expected \`${bunIdle}\` to be more than ${BUN_LOOKS_EVERY_SECONDS} seconds, or 0 for none, got \`${seconds}\`: Bun would cut every stream.`)
  return { idleMs, reason: `Bun closes connections that are idle for ${seconds} s${bunIdle ? ` (${bunIdle})` : ''}. Heartbeats and responses to polls are sent before that.` }
}

/** Options brought within the limits of the platform. */
export function withinLimits(options: ResolvedHandlerOptions, { idleMs = Infinity, needsHeartbeat = false }: PlatformLimits): ResolvedHandlerOptions {
  const longestMs = Math.floor(idleMs * SHARE_OF_IDLE)
  const { heartbeatMs, pollWaitMs } = options
  if (needsHeartbeat && heartbeatMs === false) return { ...options, heartbeatMs: DEFAULT_HANDLER_OPTIONS.heartbeatMs }
  if (Number(heartbeatMs || Infinity) <= longestMs && pollWaitMs <= longestMs) return options
  return { ...options, heartbeatMs: Math.min(heartbeatMs || longestMs, longestMs), pollWaitMs: Math.min(pollWaitMs, longestMs) }
}
