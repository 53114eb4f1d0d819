import { beforeEach, describe, expect, it } from 'vitest'
import { openSSE } from '../../../src/runtime/client'
import { TaggedMessage } from '../../../src/runtime/server/wire/message'
import { SSEError } from '../../../src/runtime/shared/errors'
import { useSSEServer } from '../../support/sse-server'
import type { TestServer } from '../../support/sse-server'

const server = useSSEServer({ retryMs: 1, shutdownMs: 0 })
let asked: number
beforeEach(() => {
  asked = 0
})

/** How our client fails with a route of ours that does this. */
async function failureOf(handler: Parameters<TestServer['route']>[1], transport: 'stream' | 'poll'): Promise<SSEError> {
  const path = `/${Math.random()}`
  server.route(path, (event, connection) => {
    asked++
    return handler(event, connection)
  })
  try {
    for await (const _ of openSSE(server.url + path, { transports: [transport], reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 3 } }));
  }
  catch (error) {
    return error as SSEError
  }
  throw new Error('It has ended without an error.')
}

describe.each(['stream', 'poll'] as const)('our client, at an error of our server, by %s', (transport) => {
  it.each<[string, Parameters<TestServer['route']>[1], string]>([
    ['a source that is none', () => 5, 'INVALID_SOURCE'],
    ['a channel without a name', () => server.channel(''), 'INVALID_CHANNEL'],
    ['an option that makes no sense', () => server.channel('c', { retention: { maxMessages: 0 } }), 'INVALID_OPTION'],
    ['an error of the application with `retry: false`', () => {
      throw new SSEError('CLOSED_FOR_GOOD', 'This room is closed.', { statusCode: 503, retry: false })
    }, 'CLOSED_FOR_GOOD'],
  ])('stops at once: %s', async (_, handler, code) => {
    if (transport === 'poll' && code === 'INVALID_SOURCE') code = 'NOT_POLLABLE'
    expect(await failureOf(handler, transport)).toMatchObject({ code, retry: false })
    expect(asked).toBe(1)
  })

  it('retries where an error allows it, whatever its status', async () => {
    const error = await failureOf(() => {
      throw new SSEError('BUSY', 'Busy.', { statusCode: 409, retry: true })
    }, transport)
    expect(error).toMatchObject({ code: 'GAVE_UP', cause: { code: 'BUSY', statusCode: 409 } })
    expect(asked).toBe(3)
  })
})

describe('an HTTP error', () => {
  it('sends `retry` only where its status implies the opposite', async () => {
    const data = async (error: SSEError) => {
      const path = `/${Math.random()}`
      server.route(path, () => {
        throw error
      })
      return (await (await fetch(server.url + path)).json()).data
    }
    expect(await data(new SSEError('A', 'x', { statusCode: 401 }))).toEqual({ code: 'A' })
    expect(await data(new SSEError('A', 'x', { statusCode: 503 }))).toEqual({ code: 'A' })
    expect(await data(new SSEError('A', 'x', { statusCode: 401, retry: true }))).toEqual({ code: 'A', retry: true })
    expect(await data(new SSEError('INVALID_SOURCE', 'x'))).toEqual({ code: 'INVALID_SOURCE', retry: false })
  })
})

describe('a source that yields a developer error', () => {
  it.each<[string, unknown, string]>([
    ['a name with a line break', new TaggedMessage(1, { event: 'a\nb' }), 'INVALID_EVENT'],
    ['the reserved name', new TaggedMessage(1, { event: 'sse' }), 'RESERVED_EVENT'],
    ['data that JSON cannot hold', undefined, 'INVALID_DATA'],
  ])('is not retried: %s', async (_, item, code) => {
    expect(await failureOf(async function* () {
      yield item
    }, 'stream')).toMatchObject({ code, retry: false })
    expect(asked).toBe(1)
  })
})
