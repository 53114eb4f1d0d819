import { describe, expect, it } from 'vitest'
import { resolveOptions } from '../../src/build/options'
import { DEFAULT_HANDLER_OPTIONS } from '../../src/runtime/server/options'
import { resolveHandlerOptions, resolveModuleHandlerOptions } from '../../src/runtime/server/resolve-options'

describe('options', () => {
  // @guarantee silence-cut
  it('have the defaults of the contract', () => {
    expect(resolveHandlerOptions()).toEqual({ heartbeatMs: 15_000,
      heartbeatText: '',
      heartbeatAs: 'comment',
      headers: {}, retryMs: 2_000, maxLifetimeMs: false, maxBufferedBytes: 1_048_576, maxMessageBytes: 1_048_576, from: 'start', retention: { maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 }, pollWaitMs: 20_000,
      resumable: false,
      resumeWindowMs: 30_000,
      leaseMs: 10_000, leaveAfterMs: 5_000, shutdownMs: 1_000, maxConnections: false, maxConnectionsPerClient: false, trustProxy: false, maxPublishPerSecond: false })
  })
  it('override one another, retention by field, and `undefined` counts as absent', () => {
    const base = resolveHandlerOptions({ heartbeatMs: 5, retention: { maxMessages: 7 } })
    expect(resolveHandlerOptions({ heartbeatMs: undefined, from: 'now', retention: { maxAgeMs: 9 } }, base)).toEqual({ ...DEFAULT_HANDLER_OPTIONS, heartbeatMs: 5, from: 'now', retention: { maxMessages: 7, maxAgeMs: 9, maxBytes: 67_108_864, named: { maxMessages: 7, maxAgeMs: 9 } } })
    expect(base.retention).toMatchObject({ maxMessages: 7, maxAgeMs: 3_600_000 })
  })
  it.each([{ heartbeatMs: false }, { heartbeatMs: 1 }, { heartbeatMs: 2_147_483_647 }, { maxLifetimeMs: false }, { pollWaitMs: 0 }, { retention: {} }, { retention: { maxMessages: 1, maxAgeMs: 1 } }, { maxBufferedBytes: 1 }] as const)('takes %j', (options) => {
    expect(resolveHandlerOptions(options)).toMatchObject(options)
  })

  const bad: unknown[] = [-1, 1.5, Number.NaN, Infinity, '1', true, null, {}, 2 ** 53]
  // @guarantee loud
  it.each<[string, unknown]>([
    ...(['retryMs', 'heartbeatMs', 'maxLifetimeMs', 'maxBufferedBytes', 'maxMessageBytes', 'pollWaitMs'] as const).flatMap(name => bad.map(value => [name, value] as [string, unknown])),
    ...['retryMs', 'heartbeatMs', 'maxLifetimeMs', 'maxBufferedBytes', 'maxMessageBytes'].map(name => [name, 0] as [string, unknown]),
    ...['retryMs', 'heartbeatMs', 'maxLifetimeMs', 'pollWaitMs'].map(name => [name, 2_147_483_648] as [string, unknown]),
    ...['retryMs', 'maxBufferedBytes', 'maxMessageBytes', 'pollWaitMs', 'retention'].map(name => [name, false] as [string, unknown]),
    ...['begin', '', 5, true, null].map(value => ['from', value] as [string, unknown]),
    ...['maxConnections', 'maxConnectionsPerClient', 'maxPublishPerSecond', 'trustProxy'].flatMap(name => [0, -1, 1.5, '5', true, null].map(value => [name, value] as [string, unknown])),
    ['revalidate', {}], ['revalidate', { everyMs: 0, check() {} }], ['revalidate', null], ['clientKey', 'ip'], ['shutdownMs', -1],
    ['retention', 5], ['retention', null], ['retention', 'all'], ['retention', []],
  ])('refuses %s: %j in one sentence that prints both', (name, value) => {
    expect(() => resolveHandlerOptions({ [name]: value })).toThrowError(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(new RegExp(`^Expected \`${name}\` to be [^.]+, got .+\\.$`)) }))
  })
  it.each<[string, unknown]>([['maxMessages', 0], ['maxMessages', -1], ['maxMessages', 1.5], ['maxMessages', '5'], ['maxMessages', null], ['maxAgeMs', 0], ['maxAgeMs', Infinity], ['maxAge', 1]])('refuses retention.%s: %j', (name, value) => {
    expect(() => resolveHandlerOptions({ retention: { [name]: value } })).toThrowError(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(`\`retention.${name}\``) }))
  })
  it.each(['heartbeat', 'hartbeatMs', 'toString', 'constructor', '__proto__x'])('refuses the name %s, and lists the valid ones', (name) => {
    expect(() => resolveHandlerOptions({ [name]: 1 })).toThrowError(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(/^Unknown option `.*`\. Expected one of `heartbeatMs`, `heartbeatText`.*\.$/) }))
  })
  it.each<[string, unknown]>([['clientKey', () => 'me'], ['clientKey', 'me'], ['revalidate', { everyMs: 1_000, check() {} }], ['revalidate', { everyMs: 1_000 }]])('refuses %s in the module\'s options, which belongs to a handler: %o', (name, value) => {
    for (const resolve of [resolveModuleHandlerOptions, resolveOptions]) {
      expect(() => resolve({ [name]: value })).toThrowError(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(new RegExp(`^Expected \`sse.${name}\` to be set on a handler, \`defineSSEHandler.+\`, because \`nuxt.config\` cannot pass functions to the server, got .+\\.$`)) }))
    }
  })
  it.each([[null], [5], ['x'], [[]]])('refuses options that are %j', (options) => {
    expect(() => resolveHandlerOptions(options as never)).toThrowError(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })
})
