import { createParser } from 'eventsource-parser'
import { describe, expect, it } from 'vitest'
import type { SSEBatch, SSEControl } from '../../../src/runtime/shared/protocol'
import { playInterleavings } from '../../support/interleavings'
import type { Interleaving } from '../../support/interleavings'
import { requestUntilCut } from '../../support/raw-http'
import { createRandom, turns } from '../../support/random'
import type { Random } from '../../support/random'
import { Client, Truth } from '../../support/reader-model'

const RUNS = 150

/** A minimal client of either transport: it keeps its position, and nothing more. */
class HttpClient extends Client {
  known = false
  streams = 0
  polls = 0
  cuts = 0

  constructor(truth: Truth, name: string, readonly url: string, readonly random: Random) {
    super(truth, name)
  }

  async run(calm: () => boolean): Promise<void> {
    for (let attempt = 0; !this.ended; attempt++) {
      if (attempt > 300) this.fail('asked 300 times and did not reach the end')
      const { random } = this
      if (random.chance(0.4)) await this.poll(random)
      else await this.stream(random, calm())
      await turns(random.int(3))
    }
  }

  /** The position, in a header or in the query, as each transport sends it. */
  #ask(transport: string): { url: string, headers: Record<string, string> } {
    const inHeader = this.known && this.random.chance(0.5)
    const query = this.known && !inHeader ? `&position=${this.position}` : ''
    return { url: `${this.url}?transport=${transport}${query}`, headers: inHeader ? { 'last-event-id': this.position } : {} }
  }

  async stream(random: Random, calm: boolean): Promise<void> {
    this.streams++
    const asked = this.known ? this.position : undefined
    let opened = false
    const parser = createParser({
      onEvent: ({ id, event, data }) => {
        if (event !== 'sse') return this.message(id!, JSON.parse(data))
        const control = JSON.parse(data) as SSEControl
        if (control.type === 'open') {
          if (opened) this.fail('two preambles')
          opened = true
          if (id !== control.position) this.fail(`a preamble with the id ${id} that says ${control.position}`)
          if (asked !== undefined && id !== asked) this.fail(`asked for ${asked}, and was put at ${id}`)
          if (asked === undefined) this.begin(id!, 'start', { epoch: '', offset: 0 })
          this.known = true
        }
        else if (control.type === 'gap') {
          if (id !== control.position) this.fail(`a gap with the id ${id} that says ${control.position}`)
          this.gap(control)
        }
        else if (control.type === 'end') {
          this.end()
        }
        else {
          this.fail(`got ${data}`)
        }
      },
    })
    const decoder = new TextDecoder()
    const { status, cut } = await requestUntilCut(this.#ask('stream').url, {
      headers: asked === undefined ? {} : { 'last-event-id': asked },
      cutAfterBytes: calm ? Infinity : random.int(random.pick([200, 2_000, 100_000])),
      cutWhen: calm ? undefined : turns(random.int(40)),
      onBytes: bytes => parser.feed(decoder.decode(bytes, { stream: true })),
    })
    if (cut) this.cuts++
    if (status === 204 && !cut) this.end()
    else if (!cut && !this.ended) this.fail(`the server ended a stream without a word (status ${status})`)
  }

  async poll(random: Random): Promise<void> {
    this.polls++
    const { url, headers } = this.#ask('poll')
    const response = await fetch(`${url}&waitMs=${random.pick([0, 0, 5])}`, { headers })
    if (response.status !== 200) this.fail(`a poll was answered with ${response.status}: ${await response.text()}`)
    const { gap, messages, position, ended } = await response.json() as SSEBatch
    if (random.chance(0.2)) return // lost on its way
    if (!this.known) {
      const [first] = messages
      this.begin(first ? first.id!.replace(/\d+$/, offset => `${Number(offset) - 1}`) : position, 'start', { epoch: '', offset: 0 })
      this.known = true
    }
    if (gap) this.gap(gap)
    for (const { id, data } of messages) this.message(id!, data)
    if (position !== this.position) this.fail(`a batch that ends at ${this.position} and says ${position}`)
    if (ended) this.end()
  }
}

async function run({ seed, server, driver, random, witness, play }: Interleaving): Promise<HttpClient[]> {
  const name = `run ${seed}`
  const maxMessages = 1 + random.int(random.pick([4, 40]))
  const channel = server.channel<string>(name, { retention: { maxMessages } })
  const truth = new Truth()
  const off = await witness(name, truth, maxMessages)
  const clients = Array.from({ length: 3 }, (_, i) => new HttpClient(truth, `run ${seed}, client ${i}`, `${server.url}/c/${encodeURIComponent(name)}`, createRandom(seed * 7 + i)))
  const publish = async () => {
    for (let i = 0, count = 20 + random.int(40); i < count; i++) {
      if (random.chance(0.03)) await channel.delete()
      await channel.publish(`${i} é\r\n${random.chance(0.1) ? 'x'.repeat(20_000) : ''}`)
      if (random.chance(0.5)) await turns(random.int(8))
      if (random.chance(0.2)) driver.deliver()
    }
    await channel.end()
  }
  await play(publish, clients).finally(off)
  return clients
}

describe('over real HTTP', () => {
  // @guarantee order-once, one-position, heartbeat-ids, first-heartbeat, read-then-subscribe, bad-position
  it(`${RUNS} interleavings of publishes, cuts at any byte, reconnects and changes of transport`, { timeout: 120_000 }, async () => {
    const clients = await playInterleavings({
      runs: RUNS,
      seed: 20_261,
      route: server => server.route('/c/:name', event => server.channel(decodeURIComponent(event.context.params!.name!))),
      run,
    })
    const sum = (of: (client: HttpClient) => number) => clients.reduce((total, client) => total + of(client), 0)
    // The runs were of the kind that the test is about.
    expect(clients).toHaveLength(RUNS * 3)
    expect(sum(({ streams }) => streams)).toBeGreaterThan(RUNS * 5)
    expect(sum(({ polls }) => polls)).toBeGreaterThan(RUNS * 5)
    expect(sum(({ cuts }) => cuts)).toBeGreaterThan(RUNS * 3)
    expect(sum(({ gaps }) => gaps)).toBeGreaterThan(RUNS)
  })
})
