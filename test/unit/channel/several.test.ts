import { describe, expect, it } from 'vitest'
import { Channel } from '../../../src/runtime/server/channel/channel'
import { Channels } from '../../../src/runtime/server/channel/several'
import type { SSEContext } from '../../../src/runtime/server/context/context'
import { resolveHandlerOptions } from '../../../src/runtime/server/resolve-options'

const channel = (name = 'c') => new Channel(Object.assign({} as SSEContext, { options: resolveHandlerOptions() }), name)
const several = (keys: string[]) => new Channels(Object.fromEntries(keys.map(key => [key, channel()])))

describe('the keys of several channels', () => {
  it.each([['a'], ['A9_'], ['x'.repeat(32)], ['Sse'], ['opened'], ['constructor'], ['toString']])('%s is one', (key) => {
    expect(Object.keys(several([key]).channels)).toEqual([key])
  })

  it('are 1 to 32, in the order of the record', () => {
    const keys = Array.from({ length: 32 }, (_, index) => `k${32 - index}`)
    expect(Object.keys(several(keys).channels)).toEqual(keys)
    for (const count of [0, 33]) expect(() => several(Array.from({ length: count }, (_, index) => `k${index}`))).toThrow(`got ${count}.`)
  })

  it.each([[''], ['1a'], ['_a'], ['a-b'], ['a b'], ['é'], ['a:b'], ['a,b'], ['a/b'], ['x'.repeat(33)], ['__proto__'], ['\u212A'], ['a\n']])('%j is none', (key) => {
    const channels: Record<string, unknown> = Object.defineProperty({}, key, { value: channel(), enumerable: true })
    expect(() => new Channels(channels)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(JSON.stringify(key)) }))
  })

  it.each([['sse'], ['open'], ['error'], ['message']])('%s is reserved', (key) => {
    expect(() => several(['a', key])).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(`got \`"${key}"\``) }))
  })

  it('must differ in more than case', () => {
    expect(() => several(['feed', 'Feed'])).toThrow('Expected `channels` to be an object with keys that differ in more than case, got `"feed"` and `"Feed"`.')
  })
})

describe('the values of several channels', () => {
  it.each<[string, unknown]>([['nothing', undefined], ['a name', 'c'], ['a record', { a: channel() }], ['several channels', several(['a'])], ['a generator', (async function* () {})()]])('must be channels, and not %s', (_, value) => {
    expect(() => new Channels({ good: channel(), bad: value })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('`channels.bad` to be a channel') }))
  })

  it.each([[undefined], [null], ['c'], [[channel()]], [channel()]])('are in an object, not %s', (value) => {
    expect(() => new Channels(value as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it('may be one channel twice', () => {
    const twice = channel()
    expect(new Channels({ a: twice, b: twice }).channels).toEqual({ a: twice, b: twice })
  })
})
