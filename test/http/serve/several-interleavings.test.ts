import { createParser } from 'eventsource-parser'
import { describe, expect, it } from 'vitest'
import type { SSEBatch, SSEControl } from '../../../src/runtime/shared/protocol'
import { playInterleavings } from '../../support/interleavings'
import type { Interleaving } from '../../support/interleavings'
import { requestUntilCut } from '../../support/raw-http'
import { createRandom, turns } from '../../support/random'
import type { Random } from '../../support/random'
import { Truth } from '../../support/reader-model'
import { SeveralClient, isSamePosition } from '../../support/several-model'

const RUNS = 150

/** A client of several channels that sends back the last ID, over either transport, and does nothing more. */
class HttpClient extends SeveralClient {
  streams = 0
  polls = 0
  cuts = 0
  /** All channels are over: it has received the last `end`, or 204. */
  over = false

  constructor(truthOf: (key: string) => Truth, name: string, readonly url: string, readonly all: string[], readonly random: Random) {
    super(truthOf, name, random.chance(0.7) ? 'whole' : 'own')
  }

  /** Until every channel is over, with all of them in the set. */
  async run(calm: () => boolean): Promise<void> {
    const { random, all } = this
    for (let attempt = 0; !(this.over && this.keys.length === all.length); attempt++) {
      if (attempt > 300) this.fail('asked 300 times and did not reach the end')
      this.over = false
      const some = random.shuffle(all.filter(() => random.chance(0.7)))
      const keys = calm() || random.chance(0.6) || !some.length ? all : some
      if (random.chance(0.4)) await this.poll(keys)
      else await this.stream(keys, calm())
      await turns(random.int(3))
    }
  }

  /** The position, as a header or in the query, as the one transport or the other would send it. */
  #request(keys: string[], transport: string): { url: string, headers: Record<string, string> } {
    const position = this.ask(keys, this.random)
    const inHeader = position !== undefined && this.random.chance(0.5)
    // A stream with whole IDs keeps the order of a position in the query that names every key.
    const named = position?.split(',').map(part => part.split(':')[0]!) ?? []
    this.order = this.ids === 'whole' && !inHeader && named.length === keys.length && new Set([...named, ...keys]).size === keys.length && new Set(named).size === keys.length ? named : keys
    const query = position === undefined || inHeader ? '' : `&position=${encodeURIComponent(position)}`
    return { url: `${this.url}?keys=${keys.join()}&transport=${transport}${query}`, headers: { ...this.ids === 'own' && { accept: 'text/event-stream;positions=own' }, ...inHeader && { 'last-event-id': position } } }
  }

  async stream(keys: string[], calm: boolean): Promise<void> {
    const { random } = this
    this.streams++
    const parser = createParser({
      onEvent: ({ id, event, data }) => {
        if (event !== 'sse') return this.message(id!, event!, JSON.parse(data))
        const control = JSON.parse(data) as SSEControl
        if (control.type === 'open') {
          if (id !== (this.ids === 'whole' ? control.position : undefined)) this.fail(`a preamble with the ID ${id} that says ${control.position}`)
          if (control.resumed && !isSamePosition(control.position, this.asked)) this.fail(`resumed at ${control.position}, and not as requested`)
          this.open(control.position!, control.resumed!, control.channels!)
        }
        else if (control.type === 'gap') {
          this.gap(control.channel!, control, id)
        }
        else if (control.type === 'end' || control.type === 'error') {
          if (id !== undefined) this.fail(`an end with the ID ${id}`)
          if (control.channel !== undefined) return this.end(control.channel)
          if (!this.ended) this.fail('was told that all are over, and one is not')
          this.over = true
        }
        else {
          this.fail(`got ${data}`)
        }
      },
    })
    const decoder = new TextDecoder()
    const { url, headers } = this.#request(keys, 'stream')
    const { status, cut } = await requestUntilCut(url, {
      headers,
      cutAfterBytes: calm ? Infinity : random.int(random.pick([400, 4_000, 100_000])),
      cutWhen: calm ? undefined : turns(random.int(40)),
      onBytes: bytes => parser.feed(decoder.decode(bytes, { stream: true })),
    })
    if (cut) this.cuts++
    if (status === 204 && !cut) this.over = true
    else if (!cut && !this.over) this.fail(`the server ended a stream without a word (status ${status})`)
  }

  async poll(keys: string[]): Promise<void> {
    const { random } = this
    this.polls++
    const { url, headers } = this.#request(keys, 'poll')
    const waitMs = random.pick([0, 0, 5])
    const response = await fetch(`${url}&waitMs=${waitMs}`, { headers })
    if (response.status !== 200) this.fail(`a poll was answered with ${response.status}: ${await response.text()}`)
    const { gap, messages, position, ended, channels } = await response.json() as SSEBatch
    if (random.chance(0.2)) return // lost on its way
    if (gap !== null) this.fail('a gap of all')
    this.batch(position, messages, channels!, waitMs > 0)
    if (ended !== this.ended) this.fail(`a batch that says ended: ${ended}`)
    this.over = ended
  }
}

async function run({ seed, server, driver, random, witness, play }: Interleaving): Promise<HttpClient[]> {
  const keys = Array.from({ length: 1 + random.int(8) }, (_, index) => `k${index}`)
  const maxMessages = 1 + random.int(random.pick([4, 40]))
  const channels = new Map(keys.map(key => [key, server.channel<string>(`${seed} ${key}`, { retention: { maxMessages } })]))
  const truths = new Map(keys.map(key => [key, new Truth()]))
  const offs = await Promise.all(keys.map(key => witness(`${seed} ${key}`, truths.get(key)!, maxMessages)))
  const clients = Array.from({ length: 2 }, (_, i) => new HttpClient(key => truths.get(key)!, `run ${seed}, client ${i}`, `${server.url}/c/${seed}`, keys, createRandom(seed * 7 + i)))
  const publish = async () => {
    for (let i = 0, count = 20 + random.int(60); i < count; i++) {
      const channel = channels.get(random.pick(keys))!
      // Also of a channel that has ended: it begins again.
      if (random.chance(0.03)) await channel.delete()
      if (random.chance(0.02)) await (random.chance(0.5) ? channel.end() : channel.fail(new Error('secret')).catch(() => {}))
      else await channel.publish(`${i} é\r\n${random.chance(0.1) ? 'x'.repeat(20_000) : ''}`, random.chance(0.3) ? { event: 'a/b' } : {}).catch(() => {})
      if (random.chance(0.5)) await turns(random.int(8))
      if (random.chance(0.2)) driver.deliver()
    }
    for (const channel of channels.values()) await channel.end()
  }
  await play(publish, clients).finally(() => offs.forEach(off => off()))
  return clients
}

describe('several channels over real HTTP', () => {
  // @guarantee order-once, one-position
  it(`delivers each channel once and in order: ${RUNS} interleavings of publishes, ends, failures, deletes, cuts at any byte, and reconnects with another set of channels over either transport`, { timeout: 120_000 }, async () => {
    const clients = await playInterleavings({
      runs: RUNS,
      seed: 20_262,
      route: server => server.route('/c/:seed', ({ context, path }) => server.channels(Object.fromEntries(new URLSearchParams(path.split('?')[1]).get('keys')!.split(',').map(key => [key, server.channel(`${context.params!.seed} ${key}`)])))),
      run,
      isExpected: error => (error as Error).message === 'secret',
    })
    const sum = (of: (client: HttpClient) => number) => clients.reduce((total, client) => total + of(client), 0)
    // The runs were of the kind that the test is about.
    expect(clients).toHaveLength(RUNS * 2)
    expect(sum(({ streams }) => streams)).toBeGreaterThan(RUNS * 3)
    expect(sum(({ polls }) => polls)).toBeGreaterThan(RUNS * 2)
    expect(sum(({ cuts }) => cuts)).toBeGreaterThan(RUNS)
    expect(sum(({ gaps }) => gaps)).toBeGreaterThan(RUNS)
    expect(sum(({ invalid }) => invalid)).toBeGreaterThan(20)
    expect(sum(({ messages }) => messages)).toBeGreaterThan(RUNS * 20)
  })
})
