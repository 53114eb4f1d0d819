import { describe, expect, it } from 'vitest'
import { DEFAULT_REDIS_OPTIONS, resolveRedisOptions } from '../../../src/runtime/server/drivers/redis/options'

/** Nitro converts texts of the environment that look like a number or `true`. */
describe('sse.redis from the environment', () => {
  it.each([
    [{}, {}],
    [undefined, {}],
    [{ keyPrefix: 5, sentinel: 1, sentinelPassword: 123_456 }, { keyPrefix: '5', sentinel: '1', sentinelPassword: '123456' }],
    [{ sentinelPassword: true }, { sentinelPassword: 'true' }],
    [{ cluster: 1 }, { cluster: true }], [{ cluster: 0 }, { cluster: false }], [{ cluster: '' }, { cluster: false }],
    [{ timeoutMs: 1 }, { timeoutMs: 1 }],
  ])('takes %j', (given, expected) => {
    expect(resolveRedisOptions(given)).toEqual({ ...DEFAULT_REDIS_OPTIONS, ...expected })
  })

  it.each([
    ...['2s', '', 0, -5, 1.5, 2_147_483_648, null, true, '500'].map(timeoutMs => ({ timeoutMs })),
    ...['no', 'off', 'yes', 2, null].map(cluster => ({ cluster })),
    { url: {} }, { keyPrefix: null },
  ])('refuses %j', (given) => {
    const [[name, value]] = Object.entries(given) as [[string, unknown]]
    expect(() => resolveRedisOptions(given)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(new RegExp(`^Expected \`sse\\.redis\\.${name}\` to be .+, got `)) }))
    expect(() => resolveRedisOptions(given)).toThrow(`got \`${JSON.stringify(value)}\`.`)
  })

  it('does not show a password', () => {
    expect(() => resolveRedisOptions({ sentinelPassword: { hush: 'hush' } })).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hush') }))
  })
})
