import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ChannelPage } from '../../../src/runtime/server/channel/read'
import { encodeBatch } from '../../../src/runtime/server/channel/batch'
import { packData, unpackData } from '../../../src/runtime/server/drivers/packed-data'
import { formatPosition } from '../../../src/runtime/shared/position'

/** Any JSON, with values that are easily lost on the way: keys of prototypes, line separators, lone surrogates, long text. */
const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\u2028\u2029', '\uFEFF', '\uD800', '</script>', '"\\\n\r\0', '🙂', 'ä'.repeat(3_000), 'x'.repeat(5_000)))
const key = fc.oneof(text, fc.constantFrom('__proto__', 'constructor', 'toJSON', '1', '01', ''))
const number = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(-0, 2 ** 53, 1e21, 5e-324, Number.MAX_VALUE))
const { value } = fc.letrec(tie => ({
  value: fc.oneof({ maxDepth: 3 }, fc.constantFrom(null, true, false), number, text, fc.array(tie('value'), { maxLength: 4 }), fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map(pairs => Object.fromEntries(pairs))),
}))

/** JSON in forms that other publishers may write and this package does not. */
const foreign = fc.constantFrom('12345678901234567890', '0.1000000000000000055511151231257827', '1E400', '-0', '1e2', ' [ 1 ,\n2 ] ', '{"a":1,"a":2}', '"\\u0041\\/"', '"\u2028"', '{"2":1,"1":2,"__proto__":{"x":1}}')

const gap = fc.option(fc.record({ reason: fc.constantFrom('trimmed' as const, 'epoch' as const, 'invalid' as const), missed: fc.option(fc.nat()), position: fc.constant('e1.0') }, { noNullPrototype: true }), { nil: null })
const error = fc.option(fc.record({ code: text, statusCode: fc.constant(500), message: text, retry: fc.boolean() }, { noNullPrototype: true }), { nil: undefined })

function pages(data: fc.Arbitrary<string>): fc.Arbitrary<ChannelPage> {
  const entry = fc.record({ data, event: fc.option(text.filter(event => event !== ''), { nil: undefined }), bytes: fc.boolean() })
  return fc.record({ epoch: fc.stringMatching(/^[a-z0-9]{1,8}$/), offset: fc.nat(2 ** 50), entries: fc.array(entry, { maxLength: 8 }), ended: fc.boolean(), gap, error }).map(({ epoch, offset, entries, error, ...rest }) => ({
    epoch,
    // A driver may also pack short data.
    entries: entries.map(({ data, event, bytes }, index) => ({ offset: offset + index, event, data: bytes ? new TextEncoder().encode(data) : packData(data) })),
    position: formatPosition(epoch, offset),
    ...rest,
    ...error && { error },
  }))
}

/** A batch of parsed data. */
function batchOf({ epoch, entries, ...rest }: ChannelPage, pollMs: number): object {
  return {
    type: 'batch',
    messages: entries.map(({ offset, event, data }) => ({ id: formatPosition(epoch, offset), ...event !== undefined && { event }, data: JSON.parse(unpackData(data)) })),
    ...rest,
    pollMs,
  }
}

describe('encodeBatch', () => {
  it('gives exactly the text that printing the parsed messages gives', () => {
    fc.assert(fc.property(pages(value.map(data => JSON.stringify(data))), fc.nat(5_000), (page, pollMs) => {
      expect(encodeBatch(page, pollMs)).toBe(JSON.stringify(batchOf(page, pollMs)))
    }), { numRuns: 300 })
  })

  it('keeps the meaning of JSON that another publisher wrote in another form', () => {
    fc.assert(fc.property(pages(foreign), fc.nat(5_000), (page, pollMs) => {
      expect(JSON.parse(encodeBatch(page, pollMs))).toStrictEqual(batchOf(page, pollMs))
    }), { numRuns: 200 })
  })
})
