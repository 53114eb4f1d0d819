import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { createParser } from 'eventsource-parser'
import { defineEventHandler } from 'h3'
import { beforeEach, describe, expect, it } from 'vitest'
import { RecentMessages } from '../../../src/runtime/server/hub/recent-messages'
import type { SSEControl } from '../../../src/runtime/shared/protocol'
import { eventually } from '../../support/conditions'
import { collectGarbage } from '../../support/garbage'
import { SSEReader } from '../../support/read-sse'
import { NOTHING, useSSEServer } from '../../support/sse-server'

const MIB = 1_048_576

const server = useSSEServer({ retryMs: 100, retention: { maxMessages: 100, maxAgeMs: 3_600_000 } })
beforeEach(() => server.route('/c', () => server.channel('c')))

/** Every chunk handed to each socket from now on, unchanged. */
function watchWrites(sockets: Iterable<Socket>): unknown[][] {
  return [...sockets].map((socket) => {
    const written: unknown[] = []
    const write = socket.write
    socket.write = function (this: Socket, ...args: unknown[]) {
      written.push(args[0])
      return write.apply(this, args as Parameters<Socket['write']>)
    } as Socket['write']
    return written
  })
}

async function openReaders(count: number): Promise<SSEReader[]> {
  const readers = await Promise.all(Array.from({ length: count }, () => SSEReader.open(`${server.url}/c`)))
  await Promise.all(readers.map(reader => reader.until(r => r.controls.length === 1)))
  return readers
}

describe('fan-out: readers at the head of a channel', () => {
  it('receive all that is published in one turn as one write each, of one buffer for all', async () => {
    const readers = await openReaders(20)
    const channel = server.channel<number>('c')
    const written = watchWrites(server.sockets)
    for (let tick = 0; tick < 3; tick++) {
      await Promise.all(Array.from({ length: 10 }, (_, i) => channel.publish(10 * tick + i)))
      await Promise.all(readers.map(reader => reader.until(r => r.data.length === 10 * (tick + 1))))
      expect(written.map(chunks => chunks.length)).toEqual(Array.from({ length: 20 }, () => tick + 1))
      expect(new Set(written.map(chunks => chunks.at(-1))).size).toBe(1)
    }
    for (const reader of readers) expect(reader.data).toEqual(Array.from({ length: 30 }, (_, i) => i))
    await Promise.all(readers.map(reader => reader.close()))
    await eventually(() => expect([server.context.connections.size, server.context.hub.size]).toEqual([0, 0]))
  })

  it('keep their buffer when a few readers join from elsewhere in between', () => {
    const recent = new RecentMessages('e', 0, { messages: 100, bytes: MIB })
    recent.push(Array.from({ length: 20 }, (_, i) => ({ offset: i + 1, data: `${i + 1}` })))
    const shared = recent.runAfter(19, MIB)!
    for (let behind = 0; behind < 19; behind++) {
      expect(recent.runAfter(behind, MIB)!.entries).toHaveLength(20 - behind)
      expect(recent.runAfter(19, MIB)).toBe(shared)
    }
    recent.push([{ offset: 21, data: '21' }])
    expect(recent.runAfter(19, MIB)!.entries).toHaveLength(2)
  })

  it('a wrapper around `res.write` sees every byte', async () => {
    const seen: string[] = []
    server.use('/wrapped', defineEventHandler((event) => {
      const { res } = event.node
      const write = res.write.bind(res) as (chunk: unknown) => boolean
      res.write = ((chunk: string | Uint8Array) => {
        seen.push(Buffer.from(chunk as Uint8Array).toString())
        return write(chunk)
      }) as typeof res.write
      return server.stream(event, () => server.channel('c'))
    }))
    const reader = await SSEReader.open(`${server.url}/wrapped`)
    await reader.until(r => r.controls.length === 1)
    await server.channel('c').publish('wrapped')
    await reader.until(r => r.data.length === 1)
    expect(seen.join('')).toContain('data: "wrapped"\n\n')
    await reader.close()
  })
})

/** A client that requests, and reads only when the test lets it: IDs and gaps, in order of arrival. */
class SlowClient {
  offsets: number[] = []
  gaps: { at: number, missed: number | null, position: number }[] = []
  #parser = createParser({ onEvent: ({ id, event, data }) => this.#take(Number(id?.split('.')[1]), event === 'sse' ? JSON.parse(data) : undefined) })
  #headed = false

  private constructor(readonly socket: Socket) {
    socket.on('error', () => {})
    socket.setEncoding('latin1')
    socket.on('data', (text: unknown) => this.#feed(text as string))
  }

  static async open(): Promise<SlowClient> {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(server.url).port) })
    const client = new SlowClient(socket)
    socket.write('GET /c HTTP/1.1\r\nHost: x\r\n\r\n')
    await eventually(() => expect(client.#headed).toBe(true))
    return client
  }

  /** Every message is the next one, or a gap has announced otherwise and counted what was missed. */
  expectWhole(last: number): void {
    let next = 1
    const gaps = [...this.gaps]
    for (const [index, offset] of this.offsets.entries()) {
      for (; gaps[0]?.at === index; gaps.shift()) {
        expect(gaps[0]!.position - gaps[0]!.missed!).toBe(next - 1)
        next = gaps[0]!.position + 1
      }
      if (offset !== next) expect.fail(`Got ${offset} where ${next} was next.`)
      next++
    }
    expect(this.offsets.at(-1)).toBe(last)
  }

  #feed(text: string): void {
    const head = this.#headed ? 0 : text.indexOf('\r\n\r\n') + 4
    this.#headed = true
    this.#parser.feed(text.slice(head))
  }

  #take(offset: number, control?: SSEControl): void {
    if (!control) this.offsets.push(offset)
    else if (control.type === 'gap') this.gaps.push({ at: this.offsets.length, missed: control.missed, position: offset })
  }
}

describe('fan-out: stalled readers among live ones', () => {
  const STALLED = 10
  const LIVE = 10
  const DATA = 'x'.repeat(32_768)
  /** 40 MB: more than the kernel takes for a socket that is not read. */
  const MESSAGES = 1_200
  const BATCH = 50

  // @guarantee bounded
  it('cost their position, delay no other reader, and get everything or a gap when they wake', async () => {
    const live = await Promise.all(Array.from({ length: LIVE }, () => SlowClient.open()))
    const stalled = await Promise.all(Array.from({ length: STALLED }, () => SlowClient.open()))
    for (const { socket } of stalled) socket.pause()
    const channel = server.channel<string>('c')
    const memory = () => {
      collectGarbage()
      const { heapUsed, external } = process.memoryUsage()
      return heapUsed + external
    }
    const before = memory()
    for (let published = 0; published < MESSAGES; published += BATCH) {
      await Promise.all(Array.from({ length: BATCH }, () => channel.publish(DATA)))
      await eventually(() => expect(live.map(({ offsets }) => offsets.length)).toEqual(live.map(() => published + BATCH)), 20_000)
    }
    // A stalled reader has one write in its socket: a run, and the message that made it full.
    for (const connection of server.context.connections) expect(connection.outbox.bufferedBytes).toBeLessThan(200_000)
    expect([...server.context.connections].filter(connection => !connection.hasRoom)).toHaveLength(STALLED)
    // The log (100 messages), the recent ones, and the data that waits in the sockets of the stalled.
    // Polled until it is true: the memory of collected buffers is returned a little later.
    await eventually(() => expect(memory() - before).toBeLessThan(12 * MIB))
    for (const client of live) client.expectWhole(MESSAGES)

    for (const { socket } of stalled) socket.resume()
    await eventually(() => expect(stalled.map(({ offsets }) => offsets.at(-1))).toEqual(stalled.map(() => MESSAGES)), 20_000)
    for (const client of stalled) {
      expect(client.gaps).toHaveLength(1)
      client.expectWhole(MESSAGES)
    }
    for (const { socket } of [...live, ...stalled]) socket.destroy()
    await eventually(() => expect(server.left()).toEqual(NOTHING))
  }, 60_000)
})
