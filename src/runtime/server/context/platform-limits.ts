import { SSEError } from '../../shared/errors'
import type { ResolvedHandlerOptions } from '../options'
import { DEFAULT_HANDLER_OPTIONS } from '../options'
import type { PlatformLimits } from '../lib/platform/contract'
import { platform } from '../lib/platform/platform'

/** Of an idle limit, how much is used: timers are late. */
const SHARE_OF_IDLE = 0.75
const BUN_IDLE_SECONDS = 10
/** Bun looks that often, so that a limit is between this much less and what it says. */
const BUN_LOOKS_EVERY_SECONDS = 4

/** What holds here. `preset` is Nitro's, known when the application is built; `bunIdle` is the variable with which it lets Bun's idle limit be set, in seconds, if it does. */
export function platformLimits(preset: string | undefined, env: Record<string, string | undefined> = {}, bunIdle?: string): PlatformLimits {
  if (preset !== 'bun') return platform.limits
  const seconds = Number((bunIdle && env[bunIdle]) || BUN_IDLE_SECONDS)
  // 0 is how Bun is told not to.
  if (!(seconds > 0)) return {}
  const idleMs = (Math.ceil(seconds / BUN_LOOKS_EVERY_SECONDS) - 1) * BUN_LOOKS_EVERY_SECONDS * 1_000
  // Shorter than Bun can measure: nothing that we send would help.
  if (idleMs === 0) throw new SSEError('INVALID_OPTION', `Expected \`${bunIdle}\` to be more than ${BUN_LOOKS_EVERY_SECONDS} seconds, or 0 for none, got \`${seconds}\`: Bun would cut every stream.`)
  return { idleMs, reason: `Bun cuts connections on which nothing was sent for ${seconds} s${bunIdle ? ` (${bunIdle})` : ''}, so that heartbeats come, and polls are answered, before that.` }
}

/** The options with what the platform does not allow brought within its limits. */
export function withinLimits(options: ResolvedHandlerOptions, { idleMs = Infinity, needsHeartbeat = false }: PlatformLimits): ResolvedHandlerOptions {
  const longestMs = Math.floor(idleMs * SHARE_OF_IDLE)
  const { heartbeatMs, pollWaitMs } = options
  if (needsHeartbeat && heartbeatMs === false) return { ...options, heartbeatMs: DEFAULT_HANDLER_OPTIONS.heartbeatMs }
  if (Number(heartbeatMs || Infinity) <= longestMs && pollWaitMs <= longestMs) return options
  return { ...options, heartbeatMs: Math.min(heartbeatMs || longestMs, longestMs), pollWaitMs: Math.min(pollWaitMs, longestMs) }
}
