import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assertNames, bytes, check, flag, fromEnvironment, functionOf, lineOfText, milliseconds, object, oneOf, orFalse, overlay, secretText, text, whole } from '../../../src/runtime/shared/rules'
import type { Rule } from '../../../src/runtime/shared/rules'

const refused = (message: string | RegExp) => expect.objectContaining({ code: 'INVALID_OPTION', message: typeof message === 'string' ? message : expect.stringMatching(message) })

describe('rules', () => {
  it.each<[Rule, unknown[], unknown[], string]>([
    [flag, [true, false], [0, 1, 'true', null, undefined], '`true` or `false`'],
    [text, ['', 'a\n'], [1, true, null, {}, ['a']], 'a string'],
    [lineOfText(3), ['', 'abc', '\t é'], ['abcd', 'a\n', 'a\r', 'a\0', '\uD800', 1], 'one line of text, of at most 3 characters'],
    [whole({ from: 1 }), [1, Number.MAX_SAFE_INTEGER], [0, -1, 1.5, Number.NaN, Infinity, 2 ** 53, '1', true, null, undefined, [1]], 'a whole number, at least 1'],
    [whole({ of: 'milliseconds', from: 1 }), [1], [0], 'a whole number of milliseconds, at least 1'],
    [bytes(), [1, 2 ** 40], [0, 0.5], 'a whole number of bytes, at least 1'],
    [milliseconds(), [1, 2_147_483_647], [0, 2_147_483_648], 'a whole number of milliseconds from 1 to 2147483647'],
    [milliseconds({ from: 0, to: 9 }), [0, 9], [-1, 10], 'a whole number of milliseconds from 0 to 9'],
    [orFalse(milliseconds({ to: 5 })), [1, 5, false], [true, 0, null], 'a whole number of milliseconds from 1 to 5, or `false`'],
    [oneOf('a', 'b'), ['a', 'b'], ['c', '', 0, null, ['a']], '`"a"` or `"b"`'],
    [oneOf('a', 'b', 'c'), ['c'], ['d'], '`"a"`, `"b"` or `"c"`'],
    [functionOf('of the event'), [() => {}, Date], ['f', {}, null], 'a function of the event'],
    [object(), [{}, new Map()], [null, [], 'a', 5, () => {}], 'an object'],
    [object('of names'), [{}], [[]], 'an object of names'],
  ])('accept and refuse the listed values: %o', (rule, good, bad, expected) => {
    expect(rule.expected).toBe(expected)
    for (const value of good) expect(() => check('x', value, rule)).not.toThrow()
    for (const value of bad) expect(() => check('x', value, rule), String(value)).toThrow(refused(/^Expected `x` to be .+, got `.*`\.$|got a function/))
  })

  it('print the expected and the given value, but no secret', () => {
    expect(() => check('sse.x', -1, bytes())).toThrow(refused('Expected `sse.x` to be a whole number of bytes, at least 1, got `-1`.'))
    expect(() => check('x', { hush: 1 }, secretText)).toThrow(refused('Expected `x` to be a string, got `"object"`.'))
    expect(() => check('x', 0, whole({ from: 1 }), 400)).toThrow(expect.objectContaining({ statusCode: 400 }))
  })
})

describe('overlay', () => {
  const rules = { size: whole({ from: 1 }), name: text, on: flag }
  const base = { size: 5, name: 'a', on: false }

  it('puts given and allowed values over the base, and changes neither', () => {
    fc.assert(fc.property(fc.record({ size: fc.option(fc.nat().map(n => n + 1), { nil: undefined }), name: fc.string(), on: fc.boolean() }, { requiredKeys: [] }), (options) => {
      const before = structuredClone(options)
      const resolved = overlay(options, base, rules, 'sse')
      for (const name of ['size', 'name', 'on'] as const) expect(resolved[name]).toBe(options[name] === undefined ? base[name] : options[name])
      expect(options).toEqual(before)
      expect(base).toEqual({ size: 5, name: 'a', on: false })
    }))
  })

  it('refuses every value that a rule refuses, with the name and the value of the option', () => {
    fc.assert(fc.property(fc.constantFrom('size', 'name', 'on'), fc.anything(), (name, value) => {
      const allowed = value === undefined || rules[name as 'size'].test(value)
      const lay = () => overlay({ [name]: value }, base, rules, 'sse')
      if (allowed) expect(lay()[name as 'size']).toBe(value ?? base[name as 'size'])
      else expect(lay).toThrow(refused(new RegExp(`^Expected \`sse\\.${name}\` to be [^,]+(?:, at least 1)?, got `)))
    }))
  })

  it.each(['sise', 'toString', 'constructor', 'hasOwnProperty', ''])('refuses the name `%s`, and lists those that exist', (name) => {
    expect(() => overlay({ [name]: 1 }, base, rules)).toThrow(refused(`Unknown option \`${name}\`. Expected one of \`size\`, \`name\`, \`on\`.`))
    expect(() => assertNames({ [name]: 1 }, { size: undefined }, 'sse')).toThrow(refused(`Unknown option \`sse.${name}\`. Expected one of \`size\`.`))
    expect(() => overlay(JSON.parse('{"__proto__": 1}'), base, rules)).toThrow(refused(/^Unknown option `__proto__`\. Expected one of/))
    expect(overlay({ [name]: undefined }, base, rules)).toEqual(base)
  })

  it.each([[null], [5], ['x'], [true], [[]]])('refuses options that are %j', (options) => {
    expect(() => overlay(options as never, base, rules)).toThrow(refused(`Expected \`options\` to be an object, got \`${JSON.stringify(options)}\`.`))
    expect(() => overlay(options as never, base, rules, 'sse.redis')).toThrow(refused(`Expected \`sse.redis\` to be an object, got \`${JSON.stringify(options)}\`.`))
  })
})

describe('fromEnvironment', () => {
  it('turns values that Nitro has converted back into texts and flags, and leaves the rest to their rules', () => {
    const rules = { line: lineOfText(9), secret: secretText, on: flag, size: whole({ from: 1 }) }
    expect(fromEnvironment({ line: 5, secret: true, on: 1, size: 7, other: 5 }, rules)).toEqual({ line: '5', secret: 'true', on: true, size: 7, other: 5 })
    expect(fromEnvironment({ on: 0, size: '7', line: null }, rules)).toEqual({ on: false, size: '7', line: null })
    for (const on of ['', true, 2, 'yes', null]) expect(fromEnvironment({ on }, rules)).toEqual({ on: on === '' ? false : on })
    expect(fromEnvironment({ toString: 1 }, rules)).toEqual({ toString: 1 })
  })
})
