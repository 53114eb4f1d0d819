import { expect, it } from 'vitest'
import { openSSE } from '../../../src/runtime/client'
import type { ChannelSource } from '../../../src/runtime/server/channel/several'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import { useSSEServer } from '../../support/sse-server'

const server = useSSEServer({ retryMs: 1, pollWaitMs: 50 })

/** A plain `EventSource`: it reconnects with the last ID, and keeps nothing else. */
class Plain {
  readonly data: unknown[] = []
  readonly gaps: string[] = []
  opened = 0
  #lastId?: string
  #isOver = false
  #reader?: SSEReader

  constructor(private readonly url: string) {
    void this.#run()
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const reader = this.#reader = await SSEReader.open(this.url, { headers: this.#lastId === undefined ? {} : { 'last-event-id': this.#lastId } }).catch(() => undefined)
      if (!reader) continue
      expect(reader.status).toBe(200)
      this.opened++
      let taken = 0
      let over = false
      while (!over) {
        over = await reader.until(({ events }) => events.length > taken).then(() => false, () => true)
        for (const { id, event, data } of reader.events.slice(taken)) {
          this.#lastId = id ?? this.#lastId
          const value = JSON.parse(data)
          if (event !== 'sse') this.data.push(value)
          else if (value.type === 'gap') this.gaps.push(`${value.channel ?? 'one'} ${value.reason}`)
        }
        taken = reader.events.length
      }
    }
  }

  async close(): Promise<void> {
    this.#isOver = true
    await this.#reader?.close()
  }
}

it('a route that grows from one channel to several, changes them and shrinks again leaves no open client stuck: each receives a gap where it may have missed something', async () => {
  const [a, b] = [server.channel<string>('a'), server.channel<string>('b')]
  let source: ChannelSource = a
  server.route('/live', () => source)
  const url = `${server.url}/live`
  const plain = new Plain(url)
  const reconnect = { minDelayMs: 1, maxDelayMs: 2 }
  const ours = (['stream', 'poll'] as const).map(transport => openSSE(url, { transports: [transport], reconnect }))
  const received = ours.map(() => [] as unknown[])
  const reading = ours.map(async (client, index) => {
    for await (const { data } of client) received[index]!.push(data)
  })
  const allHave = (data: string) => eventually(() => {
    for (const list of [plain.data, ...received]) expect(list).toContain(data)
  })
  const change = (next: ChannelSource) => {
    source = next
    for (const socket of server.sockets) socket.destroy()
  }

  await a.publish('one')
  await allHave('one')
  change(server.channels({ a, b }))
  await a.publish('grown')
  await b.publish('grown, too')
  await allHave('grown')
  await allHave('grown, too')
  expect(plain.gaps).toEqual(['a invalid', 'b invalid'])
  change(server.channels({ b, c: server.channel('c') }))
  await b.publish('changed')
  await allHave('changed')
  // The channel of both sets continues, and the new one begins.
  expect(plain.gaps).toHaveLength(2)
  change(a)
  await a.publish('shrunk')
  await allHave('shrunk')
  expect(plain.gaps).toEqual(['a invalid', 'b invalid', 'one invalid'])
  for (const { gap, status } of ours) expect([gap?.reason, status]).toEqual(['invalid', 'connected'])
  for (const client of ours) client.close()
  await Promise.all(reading)
  await plain.close()
}, 60_000)
