import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TaggedMessage } from '../../../src/runtime/server/wire/message'
import { encodeData } from '../../../src/runtime/server/wire/encode'
import { SSEError } from '../../../src/runtime/shared/errors'
import { readSSE } from '../../../src/runtime/test'
import { eventually } from '../../support/conditions'
import { useSSEServer } from '../../support/sse-server'

const MAX = 1_048_576

function refusalOf(run: () => unknown): SSEError | undefined {
  try {
    run()
  }
  catch (error) {
    expect(error).toBeInstanceOf(SSEError)
    return error as SSEError
  }
}

class Money {
  #cents = 5
  get cents() {
    return this.#cents
  }
}
class Undefined {
  a = undefined
  b() {}
}
class Named {
  name = 'n'
}

/** Values of which JSON keeps nothing, and their names in errors. */
const lostValues: [string, () => unknown, string][] = [
  ['an Error', () => new Error('no'), 'an instance of Error'],
  ['a TypeError', () => new TypeError('no'), 'an instance of TypeError'],
  ['a Response', () => new Response('x'), 'an instance of Response'],
  ['Headers', () => new Headers({ a: 'b' }), 'an instance of Headers'],
  ['FormData', () => new FormData(), 'an instance of FormData'],
  ['a Blob', () => new Blob(['x']), 'an instance of Blob'],
  ['a RegExp', () => /x/, 'an instance of RegExp'],
  ['a Map', () => new Map([[1, 2]]), 'an instance of Map'],
  ['a Set', () => new Set([1]), 'an instance of Set'],
  ['a WeakMap', () => new WeakMap(), 'an instance of WeakMap'],
  ['a Promise', () => Promise.resolve(1), 'an instance of Promise'],
  ['an ArrayBuffer', () => new ArrayBuffer(1), 'an instance of ArrayBuffer'],
  ['URLSearchParams', () => new URLSearchParams('a=b'), 'an instance of URLSearchParams'],
  ['an invalid Date', () => new Date(Number.NaN), 'an instance of Date'],
  ['a boxed NaN', () => Object(Number.NaN), 'an instance of Number'],
  ['an instance with private fields only', () => new Money(), 'an instance of Money'],
  ['an instance whose fields JSON drops', () => new Undefined(), 'an instance of Undefined'],
  ['an instance with an empty toJSON', () => new (class Empty { toJSON() { return {} } })(), 'an instance of Empty'],
  ['an instance whose toJSON is null', () => new (class Nil { toJSON() { return null } })(), 'an instance of Nil'],
  ['an instance whose toJSON is undefined', () => new (class Nothing { toJSON() {} })(), 'an instance of Nothing'],
  ['a generator', () => (function* () { yield 1 })(), 'an instance of'],
]

/** Values that look alike, which JSON keeps in part or in whole. */
const keptValues: [string, () => unknown][] = [
  ['{}', () => ({})],
  ['[]', () => []],
  ['null', () => null],
  ['an object without a prototype', () => Object.create(null)],
  ['{} of another realm', () => runInNewContext('({})')],
  ['[] of another realm', () => runInNewContext('[]')],
  ['structuredClone of {}', () => structuredClone({})],
  ['a plain object whose fields JSON drops', () => ({ a: undefined, b() {} })],
  ['a plain object with a toJSON', () => ({ toJSON: () => null })],
  ['a Date', () => new Date(0)],
  ['a URL', () => new URL('http://127.0.0.1/')],
  ['an instance with a field', () => new Named()],
  ['an Error with a field', () => Object.assign(new Error('no'), { code: 'ENOENT' })],
  ['an SSEError', () => new SSEError('X', 'x')],
  ['a boxed string', () => Object('')],
  ['a boxed boolean', () => Object(false)],
  ['a subclass of Array', () => new (class List extends Array {})()],
]

const planted = fc.constantFrom(...lostValues)
/** Data of any depth, with the path of one place in it, and a function that puts a value there. */
const place = fc.array(fc.oneof(fc.nat(3), fc.stringMatching(/^[a-z]\w{0,5}$/), fc.constantFrom('', 'a b', 'x"y', '\n', '0.5')), { minLength: 1, maxLength: 5 })

function plant(value: unknown, path: (string | number)[], siblings: unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return value
  const inner = plant(value, rest, siblings)
  return typeof key === 'number' ? [...Array.from({ length: key }, () => siblings), inner] : { before: siblings, [key]: inner }
}

function printed(path: (string | number)[]): string {
  return path.reduce<string>((text, key) => typeof key === 'number' ? `${text}[${key}]` : /^\w+$/.test(key) ? `${text}.${key}` : `${text}[${JSON.stringify(key)}]`, 'data')
}

describe('values that JSON would drop silently', () => {
  for (const deep of [false, true]) {
    it.each(lostValues)(`refuses %s at the top, ${deep ? 'in development' : 'in production'}`, (_, make, what) => {
      const error = refusalOf(() => encodeData(make(), MAX, deep))
      expect(error?.code).toBe('INVALID_DATA')
      expect(error?.message).toContain(`got ${what}`)
      expect(error?.message).not.toContain('data.')
    })

    it.each(keptValues)(`sends %s, ${deep ? 'in development' : 'in production'}`, (_, make) => {
      expect(encodeData(make(), MAX, deep)).toBe(JSON.stringify(make()))
      expect(encodeData({ list: [make()] }, MAX, deep)).toBe(JSON.stringify({ list: [make()] }))
    })
  }

  it('in development, refuses it at any depth and names the path; in production, does not look', () => {
    fc.assert(fc.property(planted, place, fc.jsonValue({ maxDepth: 2 }), ([, make, what], path, siblings) => {
      const data = plant(make(), path, siblings)
      const error = refusalOf(() => encodeData(data, MAX, true))
      expect(error?.code).toBe('INVALID_DATA')
      expect(error?.message).toContain(`got ${what}`)
      expect(error?.message).toContain(` at \`${printed(path)}\`.`)
      expect(encodeData(data, MAX, false)).toBe(JSON.stringify(data))
    }), { numRuns: 500 })
  })

  it('refuses a bigint at any depth, by name and with its path, also in production', () => {
    expect(refusalOf(() => encodeData(1n, MAX, false))?.message).toContain('got a bigint.')
    fc.assert(fc.property(place, fc.jsonValue({ maxDepth: 2 }), fc.boolean(), (path, siblings, deep) => {
      const error = refusalOf(() => encodeData(plant(1n, path, siblings), MAX, deep))
      expect(error?.code).toBe('INVALID_DATA')
      expect(error?.message).toContain(`got a bigint at \`${printed(path)}\`.`)
    }), { numRuns: 200 })
  })

  it('names a circle and its path', () => {
    const data: Record<string, unknown> = { list: [{}] }
    ;(data.list as Record<string, unknown>[])[0]!.self = data
    expect(refusalOf(() => encodeData(data, MAX, false))?.message).toContain('got a circular structure at `data.list[0].self`.')
  })

  it('sends the same bytes in development and in production, for all that JSON holds', () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 5 }), (data) => {
      expect(encodeData(data, MAX, true)).toBe(JSON.stringify(data))
      expect(encodeData(data, MAX, false)).toBe(JSON.stringify(data))
    }), { numRuns: 500 })
  })

  it('sends one object that stands in two places, and one that is nested deeper than the stack of a visit', () => {
    const one = { a: 1 }
    expect(encodeData([one, one, { one }], MAX, true)).toBe('[{"a":1},{"a":1},{"one":{"a":1}}]')
    let deep: unknown = 1
    for (let n = 0; n < 3_000; n++) deep = [deep]
    expect(encodeData(deep, MAX, true)).toBe(JSON.stringify(deep))
  })

  it('sends a bigint where the application has given it a toJSON', () => {
    Object.assign(BigInt.prototype, {
      toJSON(this: bigint) {
        return String(this)
      },
    })
    try {
      expect(encodeData({ n: 1n }, MAX, true)).toBe('{"n":"1"}')
    }
    finally {
      delete (BigInt.prototype as { toJSON?: unknown }).toJSON
    }
  })
})

describe('every API that accepts a message', () => {
  const server = useSSEServer({ shutdownMs: 50 })

  const codeOf = (promise: Promise<unknown>) => promise.then(() => 'resolved', (error: SSEError) => error.code)

  it.each([
    ['an Error', () => new Error('no')],
    ['a Response', () => new Response('x')],
    ['an invalid Date', () => new Date(Number.NaN)],
  ])('publish, pipe, run, push and yield refuse %s, named or not', async (_, make) => {
    for (const item of [make(), new TaggedMessage(make(), { event: 'e' })]) {
      expect(await codeOf(server.channel('published').publish(item))).toBe('INVALID_DATA')
      const piped = server.channel(`piped${Math.random()}`)
      expect(await codeOf(piped.pipe([1, item]))).toBe('INVALID_DATA')
      expect((await piped.info()).error?.code).toBe('INVALID_DATA')
      const run = server.channel(`run${Math.random()}`)
      await run.run(() => [1, item])
      await eventually(async () => expect((await run.info()).error?.code).toBe('INVALID_DATA'))
      const path = `/${Math.random()}`
      let pushed: Promise<unknown> | undefined
      server.route(`${path}/push`, (_event, connection) => {
        pushed = codeOf(connection.push(item))
        void connection.close()
      })
      server.route(`${path}/yield`, async function* () {
        yield item
      })
      await using pushing = await readSSE(`${server.url}${path}/push`)
      await pushing.finished
      expect(await pushed).toBe('INVALID_DATA')
      await using yielding = await readSSE(`${server.url}${path}/yield`)
      await yielding.finished
      expect(yielding.controls.at(-1)).toMatchObject({ type: 'error', code: 'INVALID_DATA' })
    }
  })
})
