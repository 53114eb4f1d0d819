import { createError } from 'h3'
import { describe, expect, it } from 'vitest'
import { isPrivateError, publicError } from '../../../src/runtime/server/wire/public-error'
import { SSEError, invalidOption, isRetryableStatus, printValue } from '../../../src/runtime/shared/errors'

const HIDDEN = { code: 'SOURCE_FAILED', statusCode: 500, message: 'The stream failed because of an error on the server.', retry: true }

// @guarantee internal-errors
describe('public parts of an error', () => {
  it.each<[string, unknown, object]>([
    ['an Error', new Error('secret'), HIDDEN], ['a text', 'secret', HIDDEN], ['undefined', undefined, HIDDEN], ['null', null, HIDDEN], ['a number', 5, HIDDEN],
    ['an object that looks like one', { name: 'HTTPError', statusCode: 400, message: 'secret', __h3_error__: true }, HIDDEN],
    ['an Error with a status', Object.assign(new Error('secret'), { statusCode: 400 }), HIDDEN],
    ['an unhandled h3 error', Object.assign(createError({ statusCode: 500, message: 'secret' }), { unhandled: true }), HIDDEN],
    ['an AggregateError', new AggregateError([new Error('secret')], 'secret'), HIDDEN],
  ])('hides %s', (_, error, shown) => {
    expect(publicError(error)).toEqual(shown)
    expect(isPrivateError(error)).toBe(true)
  })
  it.each<[string, unknown, object]>([
    ['an SSEError', new SSEError('A', 'Text.', { statusCode: 409, cause: 'secret', details: { secret: 1 } }), { code: 'A', statusCode: 409, message: 'Text.', retry: false }],
    ['h3', createError({ statusCode: 429, message: 'Slower.', data: { code: 'FAST', secret: 1 } }), { code: 'FAST', statusCode: 429, message: 'Slower.', retry: true }],
    ['h3 with only a status message', createError({ statusCode: 404, statusMessage: 'Not here' }), { code: 'SOURCE_FAILED', statusCode: 404, message: 'Not here', retry: false }],
    ['h3 with data that is no object', createError({ statusCode: 404, message: 'No.', data: 'secret' }), { code: 'SOURCE_FAILED', statusCode: 404, message: 'No.', retry: false }],
    ['h3 2', Object.assign(new Error('Two.'), { name: 'HTTPError', statusCode: 503 }), { code: 'SOURCE_FAILED', statusCode: 503, message: 'Two.', retry: true }],
  ])('shows code, status, text and retry of %s, and no more', (_, error, shown) => {
    expect(publicError(error)).toEqual(shown)
    expect(isPrivateError(error)).toBe(false)
  })
})

describe('errors', () => {
  it('retry follows the status unless it is given', () => {
    expect([200, 400, 401, 403, 404, 406, 408, 410, 413, 422, 425, 429, 500, 503].filter(isRetryableStatus)).toEqual([200, 408, 425, 429, 500, 503])
    expect(new SSEError('X', 'x').retry).toBe(true)
    expect(new SSEError('X', 'x', { statusCode: 400, retry: true }).retry).toBe(true)
    expect(new SSEError('X', 'x')).not.toHaveProperty('cause')
  })
  it('an error that only a developer can fix is not retried, unless `retry` is given', () => {
    for (const code of ['INVALID_SOURCE', 'INVALID_OPTION', 'INVALID_EVENT', 'INVALID_DATA', 'INVALID_ROUTE_RULE', 'RESERVED_EVENT']) {
      expect(new SSEError(code, 'x'), code).toMatchObject({ statusCode: 500, retry: false })
      expect(publicError(new SSEError(code, 'x')), code).toMatchObject({ retry: false })
      expect(new SSEError(code, 'x', { retry: true }).retry).toBe(true)
    }
    expect(invalidOption('x', 'y', 1).retry).toBe(false)
    expect(new SSEError('NOT_INVALID_AT_ALL', 'x').retry).toBe(true)
  })
  it('an error that passed through the framework keeps its public fields', () => {
    expect(publicError(createError({ statusCode: 500, message: 'x', data: { code: 'A', retry: false } }))).toMatchObject({ code: 'A', retry: false })
    expect(publicError(createError({ statusCode: 500, message: 'x', data: { code: 'A', retry: 'no' } }))).toMatchObject({ code: 'A', retry: true })
  })
  it('prints any value in one short line', () => {
    const circular: Record<string, unknown> = {}
    circular.self = circular
    for (const value of [undefined, null, 5, 5n, Symbol('x'), () => {}, circular, 'x'.repeat(1_000), { a: 'x'.repeat(1_000) }, 'a\nb']) {
      expect(printValue(value).length).toBeLessThan(100)
      expect(printValue(value)).not.toContain('\n')
    }
    expect(invalidOption('x', 'a number', 'y').message).toBe('Expected `x` to be a number, got `"y"`.')
  })
})
