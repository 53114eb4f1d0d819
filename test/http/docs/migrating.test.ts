import { EventEmitter } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import * as betterSSE from 'better-sse'
import * as h3 from 'h3'
import type { EventHandler } from 'h3'
import { Server as SocketServer } from 'socket.io'
import { io as connect } from 'socket.io-client'
import { afterEach, describe, expect, it } from 'vitest'
import { sseMessage } from '../../../src/runtime/server/wire/message'
import { readPrograms, runProgram } from '../../support/page-programs'
import type { Program } from '../../support/page-programs'
import { SSEReader } from '../../support/read-sse'
import { useSSEServer } from '../../support/sse-server'
import { eventually } from '../../support/conditions'

/** Routes of the page "Migrating", before and after: both run, and a client receives the same. test/nuxt/docs/migrating.test.ts has the components. */

/** The package has no types. */
const express = createRequire(import.meta.url)('express') as () => { listen: HttpServer['listen'] }

const PAGE = 'docs/guide/migrating.md'

const server = useSSEServer()
const bus = new EventEmitter()
const timers: NodeJS.Timeout[] = []
afterEach(() => {
  for (const timer of timers.splice(0)) clearInterval(timer)
})

type Handler = Parameters<typeof server.route>[1]
const defineSSEHandler = (handler: Handler, options?: Parameters<typeof server.route>[2]) => ({ handler, options })

function run(program: Program) {
  return runProgram(program, {
    ...h3,
    defineSSEHandler,
    sseMessage,
    createSSEConnection: (event: h3.H3Event) => server.raw(event),
    useSSEChannel: (name: string) => server.channel(name),
    bus: { on: (name: string, listener: (value: number) => void) => (bus.on(name, listener), () => void bus.off(name, listener)) },
    // A second of the examples is 10 ms here.
    setInterval: (callback: () => void, ms: number) => (timers.push(setInterval(callback, ms / 100)), timers.at(-1)),
    setTimeout: (callback: () => void, ms: number) => setTimeout(callback, ms / 100),
  }, { 'better-sse': betterSSE, 'express': { default: express } })
}

/** URL of a program's route. */
function mount(program: Program, path: string): string {
  const { default: route } = run(program) as { default: EventHandler | ReturnType<typeof defineSSEHandler> }
  if (typeof route === 'function') server.use(path, route)
  else server.route(path, route.handler, route.options)
  return server.url + path
}

const isMessage = ({ event }: { event?: string }) => event !== 'sse'

/**
 * Messages of a route until there are enough of them, as a listener of a plain `EventSource` that parses them. `act` does what the messages
 * are about: some of these routes send no headers before.
 */
async function receive(url: string, count: number, act: () => unknown = () => {}): Promise<{ event?: string, data: unknown }[]> {
  const [reader] = await Promise.all([SSEReader.open(url), act()])
  await reader.until(({ messages }) => messages.length >= count)
  await reader.close()
  return reader.events.filter(isMessage).slice(0, count).map(({ event, data }) => ({ ...event && { event }, data: JSON.parse(data) as unknown }))
}

const post = (url: string) => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ text: 'Hello' }) })

describe('createEventStream', async () => {
  const programs = await readPrograms(PAGE, 'From h3\'s `createEventStream`')

  it.each([['before', '// Before'], ['after step one', '// After'], ['after step two', 'async function*']])('%s sends the time', async (_, label) => {
    const [first, second] = await receive(mount(programs(label), '/clock'), 2)
    expect([first, second]).toEqual(Array.from({ length: 2 }).fill({ data: { now: expect.any(Number) } }))
    expect((second!.data as { now: number }).now).toBeGreaterThan((first!.data as { now: number }).now)
  })
})

describe('better-sse', async () => {
  const programs = await readPrograms(PAGE, 'From `better-sse`')

  it.each(['// Before', '// After'])('%s greets, and sends prices', async (label) => {
    const messages = await receive(mount(programs(label), '/ticker'), 3)
    // The library gives unnamed messages the name `message`, which means the same to a client.
    expect(messages.map(({ event, data }) => ({ ...event && event !== 'message' && { event }, data }))).toEqual([{ data: { hello: true } }, ...Array.from({ length: 2 }).fill({ event: 'price', data: { price: 42 } })])
  })
})

describe('socket.io', async () => {
  const programs = await readPrograms(PAGE, 'From socket.io')

  it('before: a message reaches all clients of its room', async () => {
    let io!: SocketServer
    // A function that returns an object can be called with `new`.
    const Server = function () {
      return io = new SocketServer(0)
    }
    runProgram(programs('// Before'), { defineNitroPlugin: (plugin: () => void) => plugin() }, { 'socket.io': { Server } })
    const { port } = (io as unknown as { httpServer: HttpServer }).httpServer.address() as AddressInfo
    const sockets = Array.from({ length: 2 }, () => connect(`http://127.0.0.1:${port}`, { forceNew: true }))
    try {
      for (const socket of sockets) socket.emit('join', 'lobby')
      await eventually(() => expect(io.sockets.adapter.rooms.get('lobby')?.size).toBe(2))
      const said = sockets.map(socket => new Promise(resolve => socket.on('said', resolve)))
      sockets[0]!.emit('say', 'lobby', 'Hello')
      expect(await Promise.all(said)).toEqual([{ text: 'Hello' }, { text: 'Hello' }])
    }
    finally {
      for (const socket of sockets) socket.disconnect()
      await io.close()
    }
  })

  it('after: a message reaches all clients of its room', async () => {
    mount(programs('server/api/rooms/[room].get.ts'), '/api/rooms/:room')
    mount(programs('server/api/rooms/[room].post.ts'), '/api/rooms/:room/post')
    const room = `${server.url}/api/rooms/lobby`
    const readers = await Promise.all([SSEReader.open(room), SSEReader.open(room)])
    await Promise.all(readers.map(reader => reader.until(({ controls }) => controls.length === 1)))
    await post(`${room}/post`)
    for (const reader of readers) {
      expect((await reader.until(({ messages }) => messages.length === 1)).data).toEqual([{ text: 'Hello' }])
      await reader.close()
    }
  })
})

describe('push with a clean-up function', async () => {
  const programs = await readPrograms(PAGE, 'Push with a clean-up function')

  it.each(['// Before', '// After'])('%s sends values, and cleans up after the client has left', async (label) => {
    const url = mount(programs(label), '/values')
    const messages = await receive(url, 3, async () => {
      await eventually(() => expect(bus.listenerCount('value')).toBe(1))
      for (const value of [1, 2, 3]) bus.emit('value', value)
    })
    expect(messages).toEqual([1, 2, 3].map(value => ({ event: 'value', data: { value } })))
    await eventually(() => expect(bus.listenerCount('value')).toBe(0))
  })
})

describe('sse.from(iterable)', async () => {
  const programs = await readPrograms(PAGE, '`sse.from(iterable)`')
  const STEPS = [1, 2, 3].map(step => ({ data: { step } }))

  it.each([['// Before', []], ['// After', STEPS]] as const)('%s sends the steps, and serves a second client as the page describes', async (label, second) => {
    const url = mount(programs(label), '/steps')
    expect(await receive(url, 3)).toEqual(STEPS)
    const reader = await SSEReader.open(url)
    await reader.finished
    expect(reader.messages.map(({ data }) => ({ data }))).toEqual(second)
  })
})

describe('brokers of Express and Fastify', async () => {
  const programs = await readPrograms(PAGE, 'Brokers of Express and Fastify')
  /** A message that one client posts, as two readers receive it. */
  async function broadcast(readUrl: string, postUrl: string, isReady: (reader: SSEReader) => boolean): Promise<unknown[]> {
    const readers = await Promise.all([SSEReader.open(readUrl), SSEReader.open(readUrl)])
    await Promise.all(readers.map(reader => reader.until(() => isReady(reader))))
    expect((await post(postUrl)).status).toBe(204)
    await Promise.all(readers.map(reader => reader.until(({ messages }) => messages.length === 1)))
    await Promise.all(readers.map(reader => reader.close()))
    return readers.map(({ data }) => data)
  }

  it('before', async () => {
    const { app } = run(programs('// Before')) as { app: ReturnType<typeof express> }
    const listening = app.listen(0, '127.0.0.1')
    await new Promise(resolve => listening.once('listening', resolve))
    try {
      const url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}/events`
      // The headers are sent right before the client is added to the list.
      expect(await broadcast(url, url, () => true)).toEqual([[{ text: 'Hello' }], [{ text: 'Hello' }]])
    }
    finally {
      listening.closeAllConnections()
      listening.close()
    }
  })

  it('after', async () => {
    const readUrl = mount(programs('server/routes/events.get.ts'), '/events')
    const postUrl = mount(programs('server/routes/events.post.ts'), '/events/post')
    expect(await broadcast(readUrl, postUrl, ({ controls }) => controls.length === 1)).toEqual([[{ text: 'Hello' }], [{ text: 'Hello' }]])
  })
})
