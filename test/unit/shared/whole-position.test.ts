import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createEpoch } from '../../../src/runtime/shared/position'
import { MAX_WHOLE_LENGTH, formatWhole, isWhole, parseWhole } from '../../../src/runtime/shared/whole-position'
import { readPage } from '../../support/markdown'

const key = fc.stringMatching(/^[a-z]\w{0,31}$/)
const position = fc.tuple(fc.stringMatching(/^[a-z][a-z0-9]{0,20}$/), fc.nat()).map(parts => parts.join('.'))
const parts = fc.uniqueArray(fc.tuple(key, position), { selector: ([name]) => name, minLength: 1, maxLength: 32 })

describe('whole positions', () => {
  it('parse(format(p)) == p, in any order of the keys, with keys that are missing and keys that are not known, and blanks after commas', () => {
    fc.assert(fc.property(parts, fc.func(fc.boolean()), fc.constantFrom('', ' ', '  '), (all, isKnown, blank) => {
      const text = formatWhole(all).replaceAll(',', `,${blank}`)
      fc.pre(text.length <= MAX_WHOLE_LENGTH)
      const known = all.filter(([name]) => isKnown(name)).reverse()
      const asked = parseWhole(text, [...known.map(([name]) => name), 'not_in_the_text_but_in_the_record'])
      expect(asked.map(({ text }) => text)).toEqual([...known.map(([, text]) => text), undefined])
      expect(asked.at(-1)).toEqual({ request: undefined })
      for (const { request } of asked.slice(0, -1)) expect(request).toMatchObject({ kind: 'at' })
      if (blank === '') expect(isWhole(text)).toBe(true)
    }), { numRuns: 500 })
  })

  it('never throws, and makes nothing of nonsense', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-c:,.\-0-9]{0,30}$/)), (text) => {
      for (const { request, text: part } of parseWhole(text, ['a', 'b'])) {
        if (typeof request === 'object') expect(text).toContain(part)
        else expect(part).toBeUndefined()
      }
      if (isWhole(text)) for (const { request } of parseWhole(text, [text.split(':')[0]!])) expect(request).toBeDefined()
    }), { numRuns: 2_000 })
  })

  it('has room for 32 channels with the longest keys and epochs, and for no more than that', () => {
    const longest = Array.from({ length: 32 }, (_, index) => [`k${index}`.padEnd(32, 'x'), `${'e'.repeat(64)}.${Number.MAX_SAFE_INTEGER}`] as const)
    const text = formatWhole(longest)
    expect(text).toHaveLength(3_679)
    expect(parseWhole(text, longest.map(([name]) => name)).map(({ text }) => text)).toEqual(longest.map(([, text]) => text))
    expect(parseWhole(text.padEnd(MAX_WHOLE_LENGTH, ','), ['k0'.padEnd(32, 'x')])).toEqual([{ request: expect.objectContaining({ kind: 'at' }), text: longest[0]![1] }])
    expect(parseWhole(text.padEnd(MAX_WHOLE_LENGTH + 1, ','), ['k0'.padEnd(32, 'x')])).toEqual([{ request: 'malformed' }])
  })

  it.each([
    ['32 channels with epochs of this package', 32, 9, '9999999999', 1_727, 1_853],
    ['32 channels with the longest epochs', 32, 64, '9007199254740991', 3_679, 3_805],
    ['16 channels with the longest epochs', 16, 64, '9007199254740991', 1_839, 1_901],
  ] as const)('%s: their length, as docs/guide/several-channels.md has it', async (_, channels, epoch, offset, length, encoded) => {
    const text = formatWhole(Array.from({ length: channels }, (_, index) => [`k${index}`.padEnd(32, 'x'), `${'e'.repeat(epoch)}.${offset}`]))
    expect([text.length, encodeURIComponent(text).length]).toEqual([length, encoded])
    expect(createEpoch()).toHaveLength(9)
    const page = await readPage('docs/guide/several-channels.md')
    if (channels === 32) expect(page).toContain(`| ${length.toLocaleString('en')} | ${encoded.toLocaleString('en')} |`)
    else expect(page).toContain('16 channels stay below the 2,000 characters')
  })

  it.each(['a:start', 'a:e1.5,b:start', 'a:start,b:e1.5'])('`%s` is one that a server has given: a list of members is due', (text) => {
    expect(isWhole(text)).toBe(true)
  })

  it.each(['e1.5', 'a', 'a:', 'a:5', 'a:now', 'a:e1.5,', 'a:e1.5, b:e1.5', '1a:e1.5', `${'a'.repeat(33)}:e1.5`])('`%s` is none that a server has given', (text) => {
    expect(isWhole(text)).toBe(false)
  })
})
