import { defineEventHandler } from 'h3'
import { describe, expect, it } from 'vitest'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import type { TestServer } from '../../support/sse-server'
import { NOTHING, useSSEServers } from '../../support/sse-server'

const startServer = useSSEServers()
let server: TestServer

/** As a library that compresses wraps `res.write`: this one throws once it is armed. */
async function start(heartbeatMs: number | false): Promise<{ broken: Set<string> }> {
  server = await startServer({ heartbeatMs, retryMs: 1 })
  const broken = new Set<string>()
  server.app.use(defineEventHandler((event) => {
    const { res } = event.node
    const { write } = res
    const name = event.path.split('?')[1]!
    res.write = ((...args: Parameters<typeof write>) => {
      if (broken.has(name)) throw new Error(`${name} is broken`)
      return write.apply(res, args)
    }) as typeof write
  }))
  // Middleware runs before routes only if it was there first.
  server.app.stack.unshift(server.app.stack.pop()!)
  server.route('/channel', () => server.channel('shared'))
  server.route('/push', () => undefined)
  return { broken }
}

async function open(path: string): Promise<SSEReader> {
  const reader = await SSEReader.open(server.url + path)
  await reader.until(({ controls }) => controls.length > 0)
  return reader
}

describe('a response that throws when it is written to', () => {
  it('at its first bytes: it counts as opened and closed, and its clean-up runs', async () => {
    const { broken } = await start(false)
    let cleaned = 0
    server.route('/cleaned', () => () => void cleaned++)
    broken.add('a')
    await fetch(`${server.url}/cleaned?a`).then(answer => answer.text(), () => {})
    await eventually(() => expect(cleaned).toBe(1))
    const { connectionsTotal, closed } = server.context.insight
    expect([connectionsTotal, Object.values(closed)]).toEqual([1, expect.arrayContaining([1])])
    expect(server.left()).toEqual(NOTHING)
  })

  it.each([0, 1, 2])('at a message: other readers of the channel get it, whichever is the broken one (%i)', async (index) => {
    const { broken } = await start(false)
    const readers = [await open('/channel?a'), await open('/channel?b'), await open('/channel?c')]
    const [bad] = readers.splice(index, 1)
    broken.add('abc'[index]!)
    for (const n of [1, 2, 3]) {
      await server.channel('shared').publish(n)
      await Promise.all(readers.map(reader => reader.until(({ data }) => data.length === n)))
    }
    await bad!.finished
    expect(server.reported.map(error => (error as Error).message)).toEqual([`${'abc'[index]} is broken`])
    await Promise.all(readers.map(reader => reader.close()))
    await eventually(() => expect(server.left()).toEqual(NOTHING))
  })

  it.each([0, 1, 2])('at a heartbeat: others get theirs, whichever is the broken one (%i)', async (index) => {
    const { broken } = await start(20)
    const readers = [await open('/push?a'), await open('/push?b'), await open('/push?c')]
    const [bad] = readers.splice(index, 1)
    broken.add('abc'[index]!)
    await bad!.finished
    const had = readers.map(({ comments }) => comments.length)
    await Promise.all(readers.map((reader, other) => reader.until(({ comments }) => comments.length > had[other]! + 3)))
    expect(server.context.connections.size).toBe(2)
    await Promise.all(readers.map(reader => reader.close()))
  })

  it.each([0, 1, 2])('at a shutdown: all others receive it, and it ends (%i)', async (index) => {
    const { broken } = await start(false)
    const readers = [await open('/push?a'), await open('/channel?b'), await open('/push?c')]
    broken.add('abc'[index]!)
    await server.context.close()
    await Promise.all(readers.map(reader => reader.finished))
    readers.splice(index, 1)
    for (const { controls } of readers) expect(controls.at(-1)).toMatchObject({ type: 'leave' })
  })
})
