import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { connect } from 'node:net'
import { createParser } from 'eventsource-parser'
import { toNodeListener } from 'h3'
import { describe, expect, it } from 'vitest'
import type { Connection } from '../../../src/runtime/server/connection/connection'
import type { SSEConnection } from '../../../src/runtime/server/connection/types'
import { eventually } from '../../support/conditions'
import { collectGarbage } from '../../support/garbage'
import { turns } from '../../support/random'
import { SSEReader } from '../../support/read-sse'
import { useSSEServer } from '../../support/sse-server'

const MIB = 1_048_576
const CHUNK = 'x'.repeat(100_000)
/** The chunk that 200 MB consist of. */
const CHUNKS = 2_000
/** The bytes that the kernel takes on both sides of a local socket before a write reports that it is full. */
const KERNEL_BYTES = 16 * MIB

const server = useSSEServer({ retryMs: 100 })

/** A client that has sent its request and does not read. `resume` makes it read, and collects what arrives. */
class LazyClient {
  text = ''
  closed = false

  private constructor(readonly socket: Socket) {
    socket.on('error', () => {})
    socket.on('close', () => this.closed = true)
  }

  static async open(url: string, path: string): Promise<LazyClient> {
    const { port } = new URL(url)
    const socket = connect({ host: '127.0.0.1', port: Number(port) })
    await new Promise(resolve => socket.once('connect', resolve))
    socket.pause()
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    return new LazyClient(socket)
  }

  resume(): void {
    this.socket.setEncoding('utf8')
    this.socket.on('data', chunk => this.text += chunk)
    this.socket.resume()
  }

  get events(): { id?: string, event?: string, data: unknown }[] {
    const events: { id?: string, event?: string, data: unknown }[] = []
    createParser({ onEvent: ({ id, event, data }) => void events.push({ id, event, data: JSON.parse(data) }) }).feed(this.text.slice(this.text.indexOf('\r\n\r\n') + 4))
    return events
  }
}

const bufferedBytes = () => [...server.sockets].reduce((sum, socket) => sum + socket.writableLength, 0)
function memory(): number {
  collectGarbage()
  // Array buffers are in `external`, and their memory is returned some collections later.
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe('a client that does not read, while 200 MB are offered', () => {
  // @guarantee bounded, back-pressure, bytes-not-chunks
  it('a generator is not pulled, and nothing is lost when the client reads at last', async () => {
    let pulled = 0
    let released = 0
    server.route('/', async function* () {
      try {
        while (pulled < CHUNKS) yield `${++pulled}${CHUNK}`
      }
      finally {
        released++
      }
    })
    const before = memory()
    const client = await LazyClient.open(server.url, '/')
    await eventually(() => expect(bufferedBytes()).toBeGreaterThan(0))
    await turns(50)
    const [connection] = server.context.connections
    expect(connection!.outbox.bufferedBytes).toBeLessThanOrEqual(MIB)
    expect(pulled * CHUNK.length).toBeLessThan(KERNEL_BYTES)
    expect(memory() - before).toBeLessThan(8 * MIB)
    const stuckAt = pulled
    client.resume()
    await eventually(() => expect(pulled).toBeGreaterThan(stuckAt + 100), 10_000)
    client.socket.destroy()
    await eventually(() => expect([released, server.context.connections.size]).toEqual([1, 0]))
    expect(client.events.slice(1).map(({ data }, i) => (data as string).startsWith(`${i + 1}x`))).not.toContain(false)
  })

  // @guarantee back-pressure, stuck-push
  it('an awaited push waits, and settles when the client leaves meanwhile', async () => {
    let pushed = 0
    const answers: boolean[] = []
    const finished = Promise.withResolvers<void>()
    server.route('/', async (_, connection) => {
      while (!connection.closed && pushed < CHUNKS) {
        pushed++
        answers.push(await connection.push(CHUNK))
      }
      finished.resolve()
    })
    const client = await LazyClient.open(server.url, '/')
    await eventually(() => expect(bufferedBytes()).toBeGreaterThan(0))
    await turns(50)
    expect(pushed * CHUNK.length).toBeLessThan(KERNEL_BYTES)
    expect(answers).toHaveLength(pushed - 1)
    client.socket.destroy()
    await finished.promise
    expect(answers.at(-1)).toBe(false)
    expect(answers.slice(0, -1)).not.toContain(false)
  })

  // @guarantee bytes-not-chunks
  it.each([100, 1_000, 100_000, 900_000])('unawaited pushes of %i bytes are held up to maxBufferedBytes, then end with a `leave`', async (size) => {
    const data = 'x'.repeat(size)
    let sent = 0
    let most = 0
    let connection!: SSEConnection
    server.route('/', async (_, own) => {
      connection = own
      while (!own.closed) {
        // Some in one turn of the event loop, as a burst on a bus is.
        for (let i = 0; i < 50 && !own.closed; i++) {
          void own.push(data)
          if (!own.closed) sent++
          most = Math.max(most, (own as unknown as Connection).outbox.bufferedBytes)
        }
        await turns(1)
        if (sent * size > 200_000_000) throw new Error('Offered 200 MB, and nothing happened.')
      }
    })
    const client = await LazyClient.open(server.url, '/')
    await eventually(() => expect(connection?.closeReason).toBe('leave'), 20_000)
    expect(most).toBeLessThanOrEqual(MIB)
    expect(await connection.push('late')).toBe(false)
    expect(server.reported).toEqual([])
    // All that was accepted arrives, and then the goodbye.
    client.resume()
    await eventually(() => expect(client.closed).toBe(true), 10_000)
    const events = client.events
    expect(events.at(-1)).toMatchObject({ event: 'sse', data: { type: 'leave', retryMs: expect.any(Number) } })
    expect(events.filter(({ event }) => event === undefined)).toHaveLength(sent)
  })

  // @guarantee bounded
  it('a reader of a channel costs its position, and gets an exact gap and the rest when it reads at last', async () => {
    const channel = server.channel<string>('feed', { retention: { maxMessages: 50 } })
    server.route('/', () => server.channel('feed'))
    const before = memory()
    const client = await LazyClient.open(server.url, '/')
    await eventually(() => expect(server.context.connections.size).toBe(1))
    let most = 0
    for (let i = 1; i <= CHUNKS; i++) {
      await channel.publish(`${i}${CHUNK}`)
      if (i % 10 === 0) {
        await turns(1)
        most = Math.max(most, bufferedBytes())
      }
    }
    await channel.end()
    await eventually(() => expect(memory() - before).toBeLessThan(20 * MIB))
    expect(most).toBeLessThan(MIB)
    expect([...server.context.connections].map(({ closed }) => closed)).toEqual([false])
    client.resume()
    await eventually(() => expect(client.closed).toBe(true), 10_000)
    const events = client.events
    const numbers = events.filter(({ event }) => event === undefined).map(({ data }) => Number.parseInt(data as string))
    const gaps = events.filter(({ event, data }) => event === 'sse' && (data as { type: string }).type === 'gap').map(({ data }) => data as { missed: number, reason: string })
    expect(gaps).toHaveLength(1)
    expect(gaps[0]!.reason).toBe('trimmed')
    expect(numbers.length + gaps[0]!.missed).toBe(CHUNKS)
    expect(numbers.slice(-50)).toEqual(Array.from({ length: 50 }, (_, i) => CHUNKS - 49 + i))
    expect(events.at(-1)!.data).toEqual({ type: 'end' })
  })
})

describe('a client that reads', () => {
  it('a generator may follow a small message by the largest allowed', async () => {
    server.route('/', async function* () {
      for (let i = 0; i < 5; i++) {
        yield 'small'
        yield 'x'.repeat(MIB - 2)
      }
    })
    const reader = await SSEReader.open(server.url)
    await reader.finished
    expect(reader.controls.map(({ type }) => type)).toEqual(['open', 'end'])
    expect(reader.data.map(data => (data as string).length)).toEqual(Array.from({ length: 5 }, () => [5, MIB - 2]).flat())
  })

  it('awaited pushes of any size never end in a `leave`, also with a small bound', async () => {
    server.route('/', async (_, connection) => {
      for (let i = 0; i < 50; i++) expect(await connection.push('x'.repeat(10 + (i * 97) % 1_500))).toBe(true)
      await connection.close()
    }, { maxBufferedBytes: 1_000 })
    const reader = await SSEReader.open(server.url)
    await reader.finished
    expect(reader.controls.map(({ type }) => type)).toEqual(['open', 'end'])
    expect(reader.data).toHaveLength(50)
  })

  it('a channel needs none of the bound, also for data that is not a message', async () => {
    const channel = server.channel<number>('c', { retention: { maxMessages: 1 } })
    for (let i = 1; i <= 3; i++) await channel.publish(i)
    await channel.end()
    server.route('/', () => server.channel('c'), { maxBufferedBytes: 1 })
    const reader = await SSEReader.open(`${server.url}/?position=0`)
    await reader.finished
    expect(reader.controls.map(({ type }) => type)).toEqual(['open', 'gap', 'end'])
    expect(reader.data).toEqual([3])
  })

  it('a server with larger socket buffers does not stop half-way', async () => {
    const big = createServer({ highWaterMark: 4 * MIB }, toNodeListener(server.app))
    await new Promise<void>(resolve => big.listen(0, '127.0.0.1', resolve))
    try {
      const channel = server.channel<string>('big')
      for (let i = 0; i < 300; i++) await channel.publish(`${i}${'x'.repeat(10_000)}`)
      server.route('/', () => server.channel('big'))
      await using reader = await SSEReader.open(`http://127.0.0.1:${(big.address() as AddressInfo).port}`)
      await reader.until(r => r.events.length === 301)
    }
    finally {
      big.closeAllConnections()
      await new Promise(resolve => big.close(resolve))
    }
  })

  it('a loop of awaited pushes lets others be served', async () => {
    let stop = false
    server.route('/busy', async (_, connection) => {
      while (!stop && await connection.push('x'.repeat(1_000)));
    })
    server.route('/other', async function* () {
      yield 1
    })
    const busy = await SSEReader.open(`${server.url}/busy`)
    const other = await SSEReader.open(`${server.url}/other`)
    await other.finished
    expect(other.data).toEqual([1])
    stop = true
    await busy.close()
  })

  it('everything of one turn is one write', async () => {
    const socketWrites = (socket: Socket) => (socket as unknown as { _handle: { bytesWritten: number } })._handle.bytesWritten
    const gate = Promise.withResolvers<void>()
    server.route('/', async (_, connection) => {
      await gate.promise
      for (let i = 0; i < 10; i++) void connection.push(i)
      await connection.close()
    })
    const opening = SSEReader.open(server.url)
    await eventually(() => expect(server.sockets.size).toBe(1))
    const [socket] = server.sockets
    expect(socketWrites(socket!)).toBe(0)
    gate.resolve()
    const reader = await opening
    await reader.finished
    expect(reader.data).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })
})
