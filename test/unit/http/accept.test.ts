import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAccept, preferenceFor } from '../../../src/runtime/server/http/accept'
import { negotiate } from '../../../src/runtime/server/http/request'
import { LOADED_MS } from '../../support/conditions'

const STREAM = 'text/event-stream'
const JSON_TYPE = 'application/json'

const token = fc.stringMatching(/^[a-z]{1,8}$/)
const mediaType = fc.oneof(fc.constantFrom(STREAM, JSON_TYPE, 'text/*', 'application/*', '*/*'), fc.tuple(token, token).map(([type, subtype]) => `${type}/${subtype}`))
const thousandths = fc.integer({ min: 0, max: 1_000 })
const weight = fc.option(thousandths, { nil: undefined })
const space = fc.constantFrom('', ' ', '\t')
const parameter = fc.oneof(fc.constant(''), fc.tuple(token, fc.constantFrom('1', '"a,b;q=0"', String.raw`"\"q=0,*/*"`)).filter(([name]) => name !== 'q').map(([name, value]) => `;${name}=${value}`))
const range = fc.record({ type: mediaType, weight, parameter, space, upper: fc.boolean() })

const written = ({ type, weight, parameter, space, upper }: { type: string, weight?: number, parameter: string, space: string, upper: boolean }) =>
  `${space}${upper ? type.toUpperCase() : type}${parameter}${weight === undefined ? '' : `${space};${space}${upper ? 'Q' : 'q'}=${(weight / 1_000).toFixed(3)}`}${space}`

describe('parseAccept', () => {
  it('reads any written header: weights, wildcards, parameters with commas in quotes, any case and space', () => {
    fc.assert(fc.property(fc.array(range), (ranges) => {
      expect(parseAccept(ranges.map(written).join(','))).toEqual(ranges.map(({ type, weight }) => ({ type, quality: (weight ?? 1_000) / 1_000 })))
    }))
  })

  it('never throws, and gives only media ranges with weights from 0 to 1', () => {
    const piece = fc.oneof(fc.constantFrom(',', ';', '"', '\\', '/', '*', 'q=', '0.', ' ', STREAM), fc.string({ maxLength: 3 }))
    fc.assert(fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      for (const { type, quality } of parseAccept(pieces.join(''))) {
        expect(type).toMatch(/^[^/]+\/[^/]+$/)
        expect(quality).toBeGreaterThanOrEqual(0)
        expect(quality).toBeLessThanOrEqual(1)
      }
    }))
  })

  it.each<[string, object[]]>([
    ['', []], [' , ,', []], ['text', []], ['/json', []], ['*/json', []], ['a/b/c', []], ['te xt/plain', []],
    ['a/b;q=2', [{ type: 'a/b', quality: 1 }]], ['a/b;q=-1', [{ type: 'a/b', quality: 1 }]], ['a/b;q=', [{ type: 'a/b', quality: 1 }]], ['a/b;q="0"', [{ type: 'a/b', quality: 1 }]],
    ['a/b; q = 0.5', [{ type: 'a/b', quality: 0.5 }]], ['a/b;q=.5', [{ type: 'a/b', quality: 0.5 }]], ['a/b;level=1;q=0;ext=1', [{ type: 'a/b', quality: 0 }]], ['a/b;x="', [{ type: 'a/b', quality: 1 }]],
  ])('parses the malformed or unusual %j', (header, ranges) => {
    expect(parseAccept(header)).toEqual(ranges)
  })

  it('takes time in proportion to the header', () => {
    const startedAt = performance.now()
    for (const piece of ['"', '\\"', ';q', ',', ' ', '*/']) parseAccept(piece.repeat(100_000))
    expect(performance.now() - startedAt).toBeLessThan(LOADED_MS)
  })
})

describe('preferenceFor', () => {
  it('the most specific range decides, in any order', () => {
    fc.assert(fc.property(thousandths, thousandths, thousandths, fc.integer({ min: 1, max: 7 }), (exact, half, any, mask) => {
      const all = [{ type: STREAM, quality: exact }, { type: 'text/*', quality: half }, { type: '*/*', quality: any }]
      const present = all.filter((_, index) => mask & (1 << index))
      expect(preferenceFor([...present].reverse(), STREAM).quality).toBe(present[0]!.quality)
      expect(preferenceFor(present, STREAM)).toEqual(preferenceFor([...present].reverse(), STREAM))
    }))
  })
})

describe('negotiate', () => {
  it('refuses only headers that allow neither, chooses only an allowed form, and withholds streams only if they are refused by name', () => {
    fc.assert(fc.property(fc.array(range, { minLength: 1 }), (ranges) => {
      const header = ranges.map(written).join(',')
      const [stream, poll] = [STREAM, JSON_TYPE].map(type => preferenceFor(parseAccept(header), type)) as [ReturnType<typeof preferenceFor>, ReturnType<typeof preferenceFor>]
      if (!stream.quality && !poll.quality) return void expect(() => negotiate(header)).toThrowError(expect.objectContaining({ code: 'NOT_ACCEPTABLE', statusCode: 406 }))
      const { transport, mayStream } = negotiate(header)
      const [chosen, other] = transport === 'stream' ? [stream, poll] : [poll, stream]
      expect(chosen.quality).toBeGreaterThan(0)
      expect(chosen.quality).toBeGreaterThanOrEqual(other.quality)
      const named = ranges.filter(({ type }) => type === STREAM)
      expect(mayStream).toBe(!(named.length && named.every(({ weight }) => weight === 0)))
    }))
  })
})
