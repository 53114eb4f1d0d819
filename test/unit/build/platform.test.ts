import { describe, expect, it } from 'vitest'
import { describePlatform } from '../../../src/build/platform'
import { platformLimits, withinLimits } from '../../../src/runtime/server/context/platform-limits'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'

describe('the platform of the build', () => {
  it.each(['node-server', 'node-cluster', 'bun', 'deno-server', 'nitro-dev', undefined])('%s: needs no notice', (preset) => {
    expect(describePlatform({ preset }, true)).toEqual({ connections: true, notes: [] })
  })

  it('Cloudflare Workers: refuses Redis, and explains the reach of memory', () => {
    expect(() => describePlatform({ preset: 'cloudflare-module' }, true)).toThrow(expect.objectContaining({
      code: 'INVALID_OPTION',
      message: 'Expected `sse.driver` to be `"memory"` on Cloudflare Workers, where a connection to Redis ends with its request, got `"redis"`.',
    }))
    expect(describePlatform({ preset: 'cloudflare-module' }, false)).toEqual({ connections: false, notes: [expect.stringContaining('each isolate keeps its own channels')] })
  })

  it('Vercel: ends streams before functions end', () => {
    expect(describePlatform({ preset: 'vercel' }, false)).toMatchObject({ notes: [expect.stringContaining('after 300 s')], maxLifetimeMs: 270_000 })
    expect(describePlatform({ preset: 'vercel', vercel: { functions: { maxDuration: 60 } } }, false)).toMatchObject({ maxLifetimeMs: 54_000 })
  })

  it('AWS Lambda: requests `awsLambda.streaming` unless it is set', () => {
    expect(describePlatform({ preset: 'aws-lambda', awsLambda: { streaming: true } }, false).notes).toEqual([expect.not.stringContaining('awsLambda.streaming')])
    expect(describePlatform({ preset: 'aws-lambda' }, false).notes).toEqual([expect.stringContaining('awsLambda.streaming')])
  })
})

describe('an idle limit', () => {
  const options = DEFAULT_HANDLER_OPTIONS

  it('comes from Bun\'s configuration, less the four seconds between two of its checks', () => {
    const limitsOf = (env: Record<string, string>) => platformLimits('bun', env, 'NITRO_BUN_IDLE_TIMEOUT')
    expect(limitsOf({})).toMatchObject({ idleMs: 8_000 })
    expect(limitsOf({ NITRO_BUN_IDLE_TIMEOUT: '8' })).toMatchObject({ idleMs: 4_000 })
    expect(limitsOf({ NITRO_BUN_IDLE_TIMEOUT: '255' })).toMatchObject({ idleMs: 252_000 })
    expect(limitsOf({ NITRO_BUN_IDLE_TIMEOUT: '0' })).toEqual({})
    expect(platformLimits('node-server', {}, 'NITRO_BUN_IDLE_TIMEOUT')).toEqual({})
    expect(() => limitsOf({ NITRO_BUN_IDLE_TIMEOUT: '4' })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it('is Bun\'s default on Nitro 3, which passes none on', () => {
    const limits = platformLimits('bun', { NITRO_BUN_IDLE_TIMEOUT: '0' }, undefined)
    expect(limits).toEqual({ idleMs: 8_000, reason: 'Bun closes connections that are idle for 10 s. Heartbeats and responses to polls are sent before that.' })
  })

  it('shortens heartbeats and polls to fit, and leaves the rest alone', () => {
    expect(withinLimits(options, {})).toBe(options)
    expect(withinLimits(options, { idleMs: 100_000 })).toBe(options)
    expect(withinLimits(options, { idleMs: 8_000 })).toEqual({ ...options, heartbeatMs: 6_000, pollWaitMs: 6_000 })
    expect(withinLimits({ ...options, heartbeatMs: 1_000 }, { idleMs: 8_000 })).toEqual({ ...options, heartbeatMs: 1_000, pollWaitMs: 6_000 })
    expect(withinLimits({ ...options, heartbeatMs: false }, { idleMs: 8_000 })).toMatchObject({ heartbeatMs: 6_000 })
    expect(withinLimits({ ...options, heartbeatMs: false }, {})).toMatchObject({ heartbeatMs: false })
  })

  it('gives a stream a heartbeat on a platform whose requests must wait for something', () => {
    expect(withinLimits({ ...options, heartbeatMs: false }, { needsHeartbeat: true })).toEqual(options)
    expect(withinLimits({ ...options, heartbeatMs: 7 }, { needsHeartbeat: true })).toMatchObject({ heartbeatMs: 7 })
  })
})
