import { invalidOption } from '../runtime/shared/errors'
import type { ClusterBuild } from './cluster-primary'
import { passSignalsToWorkers } from './cluster-primary'
import type { ServerTarget } from './server-parts'
import { nitroAliases, serverAliases } from './server-parts'

/** Nitro options that this package reads: the target platform, and its settings. */
export interface PlatformOptions {
  preset?: string
  /** `max`, in Nitro 3, is the plan's maximum, and never less than the default. */
  vercel?: { functions?: { maxDuration?: number | 'max' } }
  awsLambda?: { streaming?: boolean }
}

export interface Platform {
  /** Limitations of the platform, one sentence each. */
  notes: string[]
  /** Whether connections outlive a request. */
  connections: boolean
  /** Maximum duration of a stream, in milliseconds: beyond it the platform ends the stream without notice. */
  maxLifetimeMs?: number
}

/** Vercel's default maximum duration of functions, in seconds. */
const VERCEL_DURATION_S = 300
/** Share of the maximum duration that a stream may use: its last message must still reach the client. */
const SHARE_OF_DURATION = 0.9

/** Effects of the platform on streams. Throws `INVALID_OPTION` for options that cannot work there. */
export function describePlatform({ preset = '', vercel, awsLambda }: PlatformOptions, redis: boolean): Platform {
  if (preset.startsWith('cloudflare')) {
    if (redis) throw invalidOption('sse.driver', '`"memory"` on Cloudflare Workers, where a connection to Redis ends with its request', 'redis')
    return { connections: false, notes: ['On Cloudflare Workers, each isolate keeps its own channels: a client that reaches another isolate receives a gap. Set the compatibility flag `enable_request_signal`. Without it, a disconnect is only detected when the next client connects.'] }
  }
  if (preset.startsWith('vercel')) {
    const { maxDuration } = vercel?.functions ?? {}
    const seconds = typeof maxDuration === 'number' ? maxDuration : VERCEL_DURATION_S
    return { connections: true, notes: [`Vercel ends functions after ${seconds} s. Streams end shortly before with a \`leave\` message, and clients reconnect.`], maxLifetimeMs: Math.round(seconds * 1_000 * SHARE_OF_DURATION) }
  }
  if (preset.startsWith('aws-lambda')) {
    const streaming = awsLambda?.streaming ? '' : ' Without `awsLambda.streaming`, responses are buffered until they are complete: clients receive nothing of a stream, and poll instead.'
    return { connections: true, notes: [`AWS Lambda ends a function at its timeout. Set \`sse.maxLifetimeMs\` and \`sse.pollWaitMs\` below it.${streaming}`] }
  }
  return { connections: true, notes: [] }
}

interface NitroBuild extends ClusterBuild {
  options: ClusterBuild['options'] & PlatformOptions & { alias: Record<string, string>, node?: boolean, runtimeConfig: object }
  logger: { info(message: string): void }
}

/** Once Nitro knows its target: sets the aliases for that target, and applies the platform's limits to streams. */
export function adaptToPlatform(nitro: NitroBuild, target: Pick<ServerTarget, 'nitroMajor' | 'redis'>, runtime: (path: string) => string): void {
  const { options, logger } = nitro
  const { connections, notes, maxLifetimeMs } = describePlatform(options, target.redis)
  Object.assign(options.alias, serverAliases({ ...target, node: options.node, connections }, runtime), nitroAliases(runtime))
  // On Nitro 2, the primary runs the application's plugins, and the package's plugin passes signals on.
  if (target.nitroMajor === 3 && options.preset === 'node-cluster') passSignalsToWorkers(nitro)
  for (const note of notes) logger.info(`[nuxt-sse] ${note}`)
  const { sse } = options.runtimeConfig as { sse: { maxLifetimeMs?: number | false } }
  if (maxLifetimeMs) sse.maxLifetimeMs ||= maxLifetimeMs
}
