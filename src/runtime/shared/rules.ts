import { SSEError, invalidOption } from './errors'

/** Longest delay of a timer, in milliseconds. Timers count signed 32-bit milliseconds: a longer one fires at once. */
export const MAX_TIMER_MS = 0x7FFFFFFF

/** Rule for the value of one option. */
export interface Rule {
  /** Whether the value is allowed. */
  test: (value: unknown) => boolean
  /** Completes the sentence "Expected `name` to be …". */
  expected: string
  /** Whether errors print only the type of the value, as it may be a password. */
  isSecret?: boolean
  /** Undoes Nitro's conversion of an environment variable; see {@link fromEnvironment}. */
  restore?: (value: unknown) => unknown
}

/** Rules by option: the list of the options that exist. */
export type Rules<Options> = { readonly [Name in keyof Options]-?: Rule }

export const flag: Rule = {
  test: value => typeof value === 'boolean',
  expected: '`true` or `false`',
  restore: value => value === 1 || value === 0 || value === '' ? Boolean(value) : value,
}

export const text: Rule = {
  test: value => typeof value === 'string',
  expected: 'a string',
  restore: value => typeof value === 'number' || typeof value === 'boolean' ? String(value) : value,
}

/** Text that no error may print. */
export const secretText: Rule = { ...text, isSecret: true }

/** One line of well-formed text, without NUL. */
export function lineOfText(maxLength: number): Rule {
  return {
    ...text,
    test: value => typeof value === 'string' && value.length <= maxLength && value.isWellFormed() && !/[\r\n\0]/.test(value),
    expected: `one line of text, of at most ${maxLength} characters`,
  }
}

export interface Range {
  from: number
  /** Default: the largest safe integer of JavaScript. */
  to?: number
  /** Unit. Default: none, for a count. */
  of?: string
}

/** Whole number from `from` to `to`, both included. */
export function whole({ from, to, of }: Range): Rule {
  const range = to === undefined ? `, at least ${from}` : ` from ${from} to ${to}`
  return {
    test: value => Number.isSafeInteger(value) && value as number >= from && value as number <= (to ?? Infinity),
    expected: `a whole number${of ? ` of ${of}` : ''}${range}`,
  }
}

/** Duration of a timer, in milliseconds. */
export function milliseconds({ from = 1, to = MAX_TIMER_MS }: Partial<Range> = {}): Rule {
  return whole({ of: 'milliseconds', from, to })
}

export function bytes({ from = 1, to }: Partial<Range> = {}): Rule {
  return whole({ of: 'bytes', from, to })
}

/** Also allows `false`, which turns the option off. */
export function orFalse({ test, expected }: Rule): Rule {
  return { test: value => value === false || test(value), expected: `${expected}, or \`false\`` }
}

/** One of at least two values. */
export function oneOf(...values: [string, string, ...string[]]): Rule {
  const printed = values.map(value => `\`${JSON.stringify(value)}\``)
  return { test: value => values.includes(value as string), expected: `${printed.slice(0, -1).join(', ')} or ${printed.at(-1)}` }
}

/** Function; `what` completes "a function …". */
export function functionOf(what: string): Rule {
  return { test: value => typeof value === 'function', expected: `a function ${what}` }
}

/** Object that is no array. `shape` completes "an object …". */
export function object(shape?: string): Rule {
  return { test: value => typeof value === 'object' && value !== null && !Array.isArray(value), expected: shape ? `an object ${shape}` : 'an object' }
}

// Pure, so that the client's bundle, which takes only a number from this file, drops it.
const ANY_OBJECT = /* @__PURE__ */ object()

/** Throws `INVALID_OPTION`, with the expected and the given value, unless `rule` allows `value`. */
export function check(name: string, value: unknown, { test, expected, isSecret }: Rule, statusCode?: number): void {
  if (!test(value)) throw invalidOption(name, expected, isSecret ? typeof value : value, { statusCode })
}

/**
 * Overlays `base` with the given options; `undefined` counts as not given. `path` precedes the names in errors. Throws `INVALID_OPTION` for
 * a value that its rule refuses, and for a name without a rule: a misspelt option would have no effect.
 */
export function overlay<T extends object>(options: object, base: T, rules: { readonly [name: string]: Rule }, path = ''): T {
  check(path || 'options', options, ANY_OBJECT)
  const resolved = { ...base } as Record<string, unknown>
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (!Object.hasOwn(rules, name)) throw noSuchOption(path, name, rules)
    check(nameIn(path, name), value, rules[name]!)
    resolved[name] = value
  }
  return resolved as T
}

/** Throws `INVALID_OPTION` unless `options` is an object with values only for the names of `known`. */
export function assertNames(options: object, known: object, path = ''): void {
  check(path || 'options', options, ANY_OBJECT)
  for (const [name, value] of Object.entries(options)) if (value !== undefined && !Object.hasOwn(known, name)) throw noSuchOption(path, name, known)
}

/**
 * Copies options, and restores the values of those with rules from Nitro's parsing of environment variables: a text that looks like a
 * number becomes a number, and `1` is a way to write `true`.
 */
export function fromEnvironment<T extends object>(options: T, rules: { readonly [name: string]: Rule }): T {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    return [name, rule?.restore ? rule.restore(value) : value]
  })) as T
}

function nameIn(path: string, name: string): string {
  return path ? `${path}.${name}` : name
}

function noSuchOption(path: string, name: string, known: object): SSEError {
  return new SSEError('INVALID_OPTION', `Unknown option \`${nameIn(path, name)}\`. Expected one of ${Object.keys(known).map(other => `\`${other}\``).join(', ')}.`)
}
