/** A value that JSON would lose: what it is, and where it stands in the data (`data.users[3]`). */
export interface LostValue {
  what: string
  path: string
}

/** Characters of a path that an error shows. */
const MAX_PATH_LENGTH = 200

/**
 * Whether JSON loses all of `value`: an object that is neither plain nor an array, and whose JSON is `{}` or `null`. An `Error`, a
 * `Map`, a `Response`, an invalid `Date` and an instance without own fields are such values. `json` is its JSON.
 */
export function isLost(value: unknown, json: string | undefined): boolean {
  // The length first: every message comes here.
  return (json === undefined || (json.length <= 4 && (json === '{}' || json === 'null'))) && typeof value === 'object' && value !== null && !isPlain(value)
}

/** The first value in `data` (its path begins with `name`), at any depth, that is {@link isLost}, a `bigint` that JSON refuses, or a circle. Visits all of `data`. */
export function findLost(data: unknown, name = 'data'): LostValue | undefined {
  return visit(data, '', name, [])
}

/** The kind of a value, and not its contents, which may be secret. */
export function describeValue(value: unknown): string {
  if (typeof value === 'bigint') return 'a bigint'
  if (typeof value !== 'object' || value === null) return typeof value === 'function' || typeof value === 'symbol' ? `a ${typeof value}` : `\`${String(value).slice(0, 80)}\``
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && name !== '' ? `an instance of ${name.slice(0, 80)}` : 'an instance of an unknown class'
}

/** Visits what `JSON.stringify` visits, in its order. `key` is what `toJSON` is given. */
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

/** Plain: an array, an object without a prototype, or one whose prototype is `Object.prototype`, of any realm. */
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
