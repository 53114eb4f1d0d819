import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createEpoch, formatPosition, parsePosition, parsePositionRequest } from '../../../src/runtime/shared/position'

// eslint-disable-next-line regexp/use-ignore-case -- fast-check takes no flags
const epoch = fc.tuple(fc.stringMatching(/^[a-zA-Z0-9]{0,20}$/), fc.stringMatching(/^[a-zA-Z]$/), fc.stringMatching(/^[a-zA-Z0-9]{0,20}$/)).map(parts => parts.join(''))

describe('positions', () => {
  it('parse(format(p)) == p', () => {
    fc.assert(fc.property(epoch, fc.integer({ min: 0, max: 9_999_999_999_999 }), (epoch, offset) => {
      expect(parsePosition(formatPosition(epoch, offset))).toEqual({ epoch, offset })
      expect(parsePositionRequest(formatPosition(epoch, offset))).toEqual({ kind: 'at', epoch, offset })
    }))
  })
  it('any parsed text formats to itself, and no text throws', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.tuple(fc.string(), fc.string()).map(parts => parts.join('.')), fc.stringMatching(/^[a-z0-9.+-]{0,20}$/)), (text) => {
      const request = parsePositionRequest(text)
      if (request?.kind === 'at') expect(formatPosition(request.epoch, request.offset)).toBe(text)
      else if (request?.kind === 'count') expect(String(request.offset)).toBe(text)
      else if (request?.kind === 'last') expect(`-${request.messages}`).toBe(text)
      else if (request) expect(request.kind).toBe(text)
    }), { numRuns: 2_000 })
  })
  it('parses words and counts, up to the largest safe integer', () => {
    expect(parsePositionRequest('start')).toEqual({ kind: 'start' })
    expect(parsePositionRequest('now')).toEqual({ kind: 'now' })
    expect(parsePositionRequest('0')).toEqual({ kind: 'count', offset: 0 })
    expect(parsePositionRequest('9007199254740991')).toEqual({ kind: 'count', offset: Number.MAX_SAFE_INTEGER })
    expect(parsePositionRequest('9007199254740992')).toBeUndefined()
    expect(parsePositionRequest('-50')).toEqual({ kind: 'last', messages: 50 })
  })
  // @guarantee bad-position
  it.each(['', ' ', '1.5', '12.5', '-0', '-05', '--1', '-1.5', '-9007199254740992', '+1', '01', 'e.01', 'e.', '.1', 'e.1.2', 'e1', 'é.1', 'e 1.1', 'e.1\n', '1e3', '0x1', 'NaN', 'Start', `${'e'.repeat(65)}.1`, 'e.99999999999999999'])('%j is malformed', (text) => {
    expect(parsePositionRequest(text)).toBeUndefined()
  })
  it('a new epoch differs from all others, and can be parsed', () => {
    const epochs = Array.from({ length: 1_000 }, createEpoch)
    expect(new Set(epochs).size).toBe(1_000)
    for (const epoch of epochs) expect(parsePosition(`${epoch}.1`)).toEqual({ epoch, offset: 1 })
  })
})
