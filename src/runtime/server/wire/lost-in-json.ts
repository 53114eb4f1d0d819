/** Value that JSON would lose: its kind, and its place in the data (`data.users[3]`). */
export interface LostValue {
  what: string
  path: string
}

/** Maximum length of a path in an error, in characters. */
const MAX_PATH_LENGTH = 200

/**
 * Whether JSON loses all of `value`: an object that is neither plain nor an array, and whose JSON is `{}` or `null`. Examples are an
 * `Error`, a `Map`, a `Response`, an invalid `Date` and an instance without own fields. `json` is the JSON of `value`.
 */
export function isLost(value: unknown, json: string | undefined): boolean {
  // The length first: this runs for every message.
  return (json === undefined || (json.length <= 4 && (json === '{}' || json === 'null'))) && typeof value === 'object' && value !== null && !isPlain(value)
}

/**
 * Finds the first value in `data`, at any depth, that is {@link isLost}, a `bigint` that JSON refuses, or a circular reference. Visits all
 * of `data`. `name` is the beginning of the path.
 */
export function findLost(data: unknown, name = 'data'): LostValue | undefined {
  return visit(data, '', name, [])
}

/** Describes the kind of a value. A class name stands for an object, whose contents may be secret. */
export function describeValue(value: unknown): string {
  if (typeof value === 'bigint') return 'a bigint'
  if (typeof value !== 'object' || value === null) return typeof value === 'function' || typeof value === 'symbol' ? `a ${typeof value}` : `\`${String(value).slice(0, 80)}\``
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && name !== '' ? `an instance of ${name.slice(0, 80)}` : 'an instance of an unknown class'
}

/** Visits the values that `JSON.stringify` visits, in the same order. `key` is the argument of `toJSON`. */
function visit(original: unknown, key: string, path: string, parents: object[]): LostValue | undefined {
  if (typeof original === 'bigint') {
    return typeof (original as { toJSON?: unknown }).toJSON === 'function' ? undefined : { what: describeValue(original), path }
  }
  if (typeof original !== 'object' || original === null) return undefined
  const { toJSON } = original as { toJSON?: unknown }
  const value: unknown = typeof toJSON === 'function' ? toJSON.call(original, key) : original
  if (typeof value !== 'object' || value === null) {
    if (typeof value === 'bigint') return visit(value, key, path, parents)
    return isLost(original, value === null ? 'null' : JSON.stringify(value)) ? { what: describeValue(original), path } : undefined
  }
  if (parents.includes(value)) return { what: 'a circular structure', path }
  parents.push(value)
  let isEmpty = true
  for (const name of Object.keys(value)) {
    const child = (value as Record<string, unknown>)[name]
    if (child !== undefined && typeof child !== 'function' && typeof child !== 'symbol') isEmpty = false
    const lost = visit(child, name, pathTo(path, name, value), parents)
    if (lost) return lost
  }
  parents.pop()
  // Without a field that JSON keeps, its JSON is short: `{}`, or that of a boxed primitive.
  return isEmpty && !Array.isArray(value) && isLost(original, JSON.stringify(value)) ? { what: describeValue(original), path } : undefined
}

/** Whether a value is plain: an array, an object without a prototype, or one whose prototype is `Object.prototype`, of any realm. */
function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf'))
}

function pathTo(path: string, name: string, parent: object): string {
  if (path.length > MAX_PATH_LENGTH) return path.endsWith('…') ? path : `${path}…`
  if (Array.isArray(parent)) return `${path}[${name}]`
  return /^[\w$]+$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`
}
