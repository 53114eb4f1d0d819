import { describe, expect, it } from 'vitest'
import { describePlatform } from '../../../src/build/platform'
import { platformLimits, withinLimits } from '../../../src/runtime/server/context/platform-limits'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'

describe('what an application is built for', () => {
  it.each(['node-server', 'node-cluster', 'bun', 'deno-server', 'nitro-dev', undefined])('%s: needs no word', (preset) => {
    expect(describePlatform({ preset }, true)).toEqual({ connections: true, notes: [] })
  })

  it('Cloudflare Workers: refuses Redis, and says what memory is there', () => {
    expect(() => describePlatform({ preset: 'cloudflare-module' }, true)).toThrow(expect.objectContaining({
      code: 'INVALID_OPTION',
      message: 'Expected `sse.driver` to be `"memory"` on Cloudflare Workers, where a connection to Redis ends with its request, got `"redis"`.',
    }))
    expect(describePlatform({ preset: 'cloudflare-module' }, false)).toEqual({ connections: false, notes: [expect.stringContaining('each isolate keeps its own channels')] })
  })

  it('Vercel: streams end before functions do', () => {
    expect(describePlatform({ preset: 'vercel' }, false)).toMatchObject({ notes: [expect.stringContaining('after 300 s')], maxLifetimeMs: 270_000 })
    expect(describePlatform({ preset: 'vercel', vercel: { functions: { maxDuration: 60 } } }, false)).toMatchObject({ maxLifetimeMs: 54_000 })
  })

  it('AWS Lambda: asks for what nobody knows when it is built', () => {
    expect(describePlatform({ preset: 'aws-lambda', awsLambda: { streaming: true } }, false).notes).toEqual([expect.not.stringContaining('awsLambda.streaming')])
    expect(describePlatform({ preset: 'aws-lambda' }, false).notes).toEqual([expect.stringContaining('awsLambda.streaming')])
  })
})

describe('an idle limit', () => {
  const options = DEFAULT_HANDLER_OPTIONS

  it('is known of Bun: what it says, less the four seconds between two of its looks', () => {
    const limitsOf = (env: Record<string, string>) => platformLimits('bun', env, 'NITRO_BUN_IDLE_TIMEOUT')
    expect(limitsOf({})).toMatchObject({ idleMs: 8_000 })
    expect(limitsOf({ NITRO_BUN_IDLE_TIMEOUT: '8' })).toMatchObject({ idleMs: 4_000 })
    expect(limitsOf({ NITRO_BUN_IDLE_TIMEOUT: '255' })).toMatchObject({ idleMs: 252_000 })
    expect(limitsOf({ NITRO_BUN_IDLE_TIMEOUT: '0' })).toEqual({})
    expect(platformLimits('node-server', {}, 'NITRO_BUN_IDLE_TIMEOUT')).toEqual({})
    expect(() => limitsOf({ NITRO_BUN_IDLE_TIMEOUT: '4' })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it('is what Bun has by itself where Nitro hands none on: Nitro 3', () => {
    const limits = platformLimits('bun', { NITRO_BUN_IDLE_TIMEOUT: '0' }, undefined)
    expect(limits).toEqual({ idleMs: 8_000, reason: 'Bun cuts connections on which nothing was sent for 10 s, so that heartbeats come, and polls are answered, before that.' })
  })

  it('brings heartbeats and polls within it, and leaves the rest alone', () => {
    expect(withinLimits(options, {})).toBe(options)
    expect(withinLimits(options, { idleMs: 100_000 })).toBe(options)
    expect(withinLimits(options, { idleMs: 8_000 })).toEqual({ ...options, heartbeatMs: 6_000, pollWaitMs: 6_000 })
    expect(withinLimits({ ...options, heartbeatMs: 1_000 }, { idleMs: 8_000 })).toEqual({ ...options, heartbeatMs: 1_000, pollWaitMs: 6_000 })
    expect(withinLimits({ ...options, heartbeatMs: false }, { idleMs: 8_000 })).toMatchObject({ heartbeatMs: 6_000 })
    expect(withinLimits({ ...options, heartbeatMs: false }, {})).toMatchObject({ heartbeatMs: false })
  })

  it('gives a stream a heartbeat where a request must wait for something', () => {
    expect(withinLimits({ ...options, heartbeatMs: false }, { needsHeartbeat: true })).toEqual(options)
    expect(withinLimits({ ...options, heartbeatMs: 7 }, { needsHeartbeat: true })).toMatchObject({ heartbeatMs: 7 })
  })
})
