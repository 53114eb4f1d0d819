import { createError, defineEventHandler, readBody } from 'h3'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { SSEConnection } from '../../../src/runtime/server/connection/types'
import { eventually } from '../../support/conditions'
import { collected } from '../../support/garbage'
import { RawSocket } from '../../support/raw-http'
import { turns } from '../../support/random'
import { SSEReader } from '../../support/read-sse'
import type { TestServer } from '../../support/sse-server'
import { NOTHING, startSSEServer } from '../../support/sse-server'

const EACH = 50

let server: TestServer
beforeAll(async () => {
  server = await startSSEServer({ retryMs: 20, heartbeatMs: 500, pollWaitMs: 20_000 })
})
afterAll(() => server.close())

function resources(): Record<string, number> {
  const counts: Record<string, number> = { Timeout: 0, TCPSocketWrap: 0, TCPServerWrap: 0, Immediate: 0 }
  for (const name of process.getActiveResourcesInfo()) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

/** The resources whose number has grown. */
const more = (now: Record<string, number>, before: Record<string, number>) => Object.fromEntries(Object.entries(now).filter(([name, count]) => count > (before[name] ?? 0)))

// @guarantee clean, one-clean-up
it('550 connections ended in every way leave nothing open', { timeout: 60_000 }, async () => {
  let opens = 0
  let cleanups = 0
  const watch = collected()
  const unhandled: unknown[] = []
  const onUnhandled = (error: unknown) => void unhandled.push(error)
  process.on('unhandledRejection', onUnhandled)

  /** Counts an opening and, once, its clean-up. */
  const count = (connection: SSEConnection) => {
    opens++
    watch.add(connection)
    let cleaned = false
    connection.onClosed(() => {
      if (cleaned) throw new Error('A clean-up ran twice.')
      cleaned = true
      cleanups++
    })
  }
  const untilClosed = (connection: SSEConnection) => new Promise<void>(resolve => connection.onClosed(resolve))

  server.route('/push', (_, connection) => count(connection))
  server.route('/channel', (event, connection) => {
    count(connection)
    return server.channel(`channel ${event.path.length % 7}`)
  })
  server.route('/generator', async function* (_event: unknown, connection: SSEConnection) {
    count(connection)
    let released = false
    connection.onClosed(() => {
      if (released) throw new Error('Released before it was left.')
    })
    try {
      yield 1
      await untilClosed(connection)
    }
    finally {
      released = true
    }
  })
  server.route('/ends', async function* (_event: unknown, connection: SSEConnection) {
    count(connection)
    yield 1
  })
  server.route('/throws', async function* (_event: unknown, connection: SSEConnection) {
    count(connection)
    yield 1
    throw createError({ statusCode: 400, message: 'No.' })
  })
  server.route('/refused', async (_, connection) => {
    count(connection)
    await turns(1)
    throw createError({ statusCode: 403, message: 'No.' })
  })
  server.route('/leaves', (_, connection) => {
    count(connection)
    setImmediate(() => connection.leave())
  })
  server.route('/slow-start', async (event, connection) => {
    count(connection)
    await readBody(event)
    await untilClosed(connection)
    return server.channel('orphan')
  })
  server.use('/raw', defineEventHandler((event) => {
    const connection = server.raw(event)
    count(connection as never)
    return connection.send()
  }))
  let polls = 0
  server.route('/poll', () => {
    polls++
    return server.channel('polled')
  })

  const start = resources()
  const times = <T>(make: (i: number) => Promise<T>) => Promise.all(Array.from({ length: EACH }, (_, i) => make(i)))
  const whole = async (path: string) => {
    const reader = await SSEReader.open(server.url + path)
    await reader.finished
    return reader
  }
  const opened = async (path: string) => {
    const reader = await SSEReader.open(server.url + path)
    return reader.until(r => r.controls.length > 0)
  }

  // The server's side ends it.
  await Promise.all(['/ends', '/throws', '/refused', '/leaves'].map(path => times(() => whole(path))))
  // The client's side ends it: in good order, with a reset, and before the handler had an answer.
  for (const path of ['/push', '/channel', '/generator', '/raw']) {
    const readers = await times(() => opened(path))
    await Promise.all(readers.map(reader => reader.close()))
  }
  const resets = await times(async (i) => {
    const socket = await RawSocket.get(server.url, i % 2 ? '/channel' : '/generator')
    return socket.until(({ received }) => received.includes('"open"'))
  })
  for (const { socket } of resets) socket.resetAndDestroy()
  const before = opens
  const early = await times(() => RawSocket.open(server.url, 'POST /slow-start HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}'))
  await eventually(() => expect(opens).toBe(before + EACH))
  for (const socket of early) socket.destroy()
  // Polls that are left while they wait.
  const waiting = await times(() => RawSocket.get(server.url, '/poll?transport=poll'))
  await eventually(() => expect(polls).toBe(EACH))
  for (const socket of waiting) socket.destroy()

  expect(opens).toBe(EACH * 10)
  await eventually(() => expect(cleanups).toBe(opens), 10_000)
  await eventually(() => expect(server.left()).toEqual(NOTHING), 10_000)
  // Keep-alive sockets of the test's own client are released by cutting them here.
  for (const socket of server.sockets) socket.destroy()
  await eventually(() => expect(server.sockets.size).toBe(0))
  // Without a timer of its own, which would be counted.
  const deadline = performance.now() + 10_000
  while (Object.keys(more(resources(), start)).length > 0 && performance.now() < deadline) await turns(1)
  expect(more(resources(), start)).toEqual({})
  // No reference to a finished connection is left.
  await watch.atLeast(opens - 5)
  process.off('unhandledRejection', onUnhandled)
  expect(unhandled).toEqual([])
  expect(server.reported).toEqual([])
})
