import { invalidOption } from '../runtime/shared/errors'
import type { ClusterBuild } from './cluster-primary'
import { passSignalsToWorkers } from './cluster-primary'
import type { ServerTarget } from './server-parts'
import { serverAliases } from './server-parts'

/** What is looked at of Nitro's options: which platform an application is built for, and what it is given there. */
export interface PlatformOptions {
  preset?: string
  /** `max`, of Nitro 3, is whatever the plan allows, and never less than the default. */
  vercel?: { functions?: { maxDuration?: number | 'max' } }
  awsLambda?: { streaming?: boolean }
}

export interface Platform {
  /** What it cannot do, in a sentence each. */
  notes: string[]
  /** Whether connections outlive a request. */
  connections: boolean
  /** A stream must be over by then: the platform ends it without a word. */
  maxLifetimeMs?: number
}

/** Vercel's own default for functions. */
const VERCEL_DURATION_S = 300
/** Of a maximum duration, how much a stream may use: what its client is told last must still arrive. */
const SHARE_OF_DURATION = 0.9

/** What the platform means for streams. Throws `INVALID_OPTION` for what cannot work there at all. */
export function describePlatform({ preset = '', vercel, awsLambda }: PlatformOptions, redis: boolean): Platform {
  if (preset.startsWith('cloudflare')) {
    if (redis) throw invalidOption('sse.driver', '`"memory"` for Cloudflare Workers, where no connection to Redis outlives a request', 'redis')
    return { connections: false, notes: ['On Cloudflare Workers a channel is kept by one isolate, and a client that comes to another is told of a gap; set the compatibility flag `enable_request_signal`, or a client that leaves is only noticed when the next one comes.'] }
  }
  if (preset.startsWith('vercel')) {
    const { maxDuration } = vercel?.functions ?? {}
    const seconds = typeof maxDuration === 'number' ? maxDuration : VERCEL_DURATION_S
    return { connections: true, notes: [`Vercel ends functions after ${seconds} s, so that streams end before with a \`leave\`, and clients come back.`], maxLifetimeMs: Math.round(seconds * 1_000 * SHARE_OF_DURATION) }
  }
  if (preset.startsWith('aws-lambda')) {
    const streaming = awsLambda?.streaming ? '' : ' Without `awsLambda.streaming` a response leaves only when it is complete: a client sees nothing of a stream, and polls.'
    return { connections: true, notes: [`AWS Lambda ends functions after their timeout: set \`sse.maxLifetimeMs\` and \`sse.pollWaitMs\` below it.${streaming}`] }
  }
  return { connections: true, notes: [] }
}

interface NitroBuild extends ClusterBuild {
  options: ClusterBuild['options'] & PlatformOptions & { alias: Record<string, string>, node?: boolean, runtimeConfig: object }
  logger: { info(message: string): void }
}

/** When Nitro knows what it builds for: the parts for that, and what it means for streams. */
export function adaptToPlatform(nitro: NitroBuild, target: Pick<ServerTarget, 'nitroMajor' | 'redis'>, runtime: (path: string) => string): void {
  const { options, logger } = nitro
  const { connections, notes, maxLifetimeMs } = describePlatform(options, target.redis)
  Object.assign(options.alias, serverAliases({ ...target, node: options.node, connections }, runtime))
  // On Nitro 2, the primary runs the application's plugins, and ours passes signals on.
  if (target.nitroMajor === 3 && options.preset === 'node-cluster') passSignalsToWorkers(nitro)
  for (const note of notes) logger.info(`[nuxt-sse] ${note}`)
  const { sse } = options.runtimeConfig as { sse: { maxLifetimeMs?: number | false } }
  if (maxLifetimeMs) sse.maxLifetimeMs ||= maxLifetimeMs
}
