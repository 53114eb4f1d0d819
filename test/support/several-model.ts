import { formatWhole, parseWhole } from '../../src/runtime/shared/whole-position'
import type { SSEGap } from '../../src/runtime/shared/protocol'
import type { Random } from './random'
import type { Truth } from './reader-model'
import { Client } from './reader-model'

/** Whether two whole positions name the same channels, each at the same position. */
export function isSamePosition(one: string | undefined, other: string | undefined): boolean {
  return one?.split(',').sort().join() === other?.split(',').sort().join()
}

/**
 * Client of several channels that has only what came over the wire: the last ID (`whole`, as an `EventSource` does) or one position
 * for each key (`own`). Each channel is checked as the one of a {@link Client}. Throws at the first broken promise.
 */
export class SeveralClient {
  keys: string[] = []
  /** Keys in the order in which a stream names them. */
  order: string[] = []
  /** Position that a browser would send back. */
  lastId?: string
  gaps = 0
  invalid = 0
  messages = 0
  resets = 0
  readonly #clients = new Map<string, Client>()
  /** Requested positions whose gap has not arrived yet. */
  readonly #pending = new Map<string, string>()
  /** Keys whose requested part was malformed. */
  readonly #spoilt = new Set<string>()
  #asked?: string

  constructor(readonly truthOf: (key: string) => Truth, readonly name: string, readonly ids: 'whole' | 'own') {}

  /** Whether every channel was read to its end. */
  get ended(): boolean {
    return this.keys.length > 0 && this.keys.every(key => this.#clients.get(key)?.ended)
  }

  /** Position that the current connection has requested. */
  get asked(): string | undefined {
    return this.#asked
  }

  client(key: string): Client {
    const client = this.#clients.get(key)
    return client ?? this.fail(`has heard of ${key}, which it did not ask for`)
  }

  /** Position to request on a connection with these keys, if there is any. Parts are spoilt with a small probability. */
  ask(keys: string[], random: Random): string | undefined {
    this.keys = this.order = keys
    this.#spoilt.clear()
    this.#pending.clear()
    this.#asked = undefined
    if (this.lastId === undefined) return undefined
    const known = this.ids === 'own' ? random.shuffle([...this.#clients.keys()]) : this.lastId.split(',').map(part => part.split(':')[0]!)
    const parts = parseWhole(this.lastId, known)
    const text = known.map((key, index) => {
      if (!random.chance(0.03)) return `${key}:${parts[index]!.text}`
      return random.pick([`${key}:`, `${key}:7`, `${key}:junk`, `${key}:${parts[index]!.text},${key}:now`])
    })
    return this.#asked = text.join()
  }

  /** The start of a stream. */
  open(position: string, resumed: boolean, channels: Record<string, { position: string, resumed: boolean }>): void {
    if (Object.keys(channels).join() !== this.order.join()) this.fail(`asked for ${this.order.join()}, was told of ${Object.keys(channels).join()}`)
    this.keys = this.order
    if (position !== formatWhole(Object.entries(channels).map(([key, channel]) => [key, channel.position]))) this.fail(`whole: ${position}, of each: ${JSON.stringify(channels)}`)
    const asked = this.#asked === undefined ? undefined : parseWhole(this.#asked, this.keys)
    const all = Object.values(channels).every(channel => channel.resumed)
    // With other keys than requested, all may be resumed, and the whole position is another one. The order of the keys does not matter.
    if (resumed ? !all : all && isSamePosition(position, this.#asked)) this.fail(`says \`resumed: ${resumed}\``)
    for (const [index, key] of this.keys.entries()) {
      const { position: at, resumed } = channels[key]!
      const part = asked?.[index]
      const { text } = part ?? {}
      if (resumed && text === undefined) this.fail(`resumed ${key}, which it did not ask for`)
      if (text !== undefined && at !== text) this.fail(`asked for ${key} at ${text}, and was put at ${at}`)
      if (text !== undefined && !resumed) this.#pending.set(key, text)
      if (text === undefined) this.#begin(key, at)
      // A channel that has ended may have been deleted since, and begun again. Otherwise its end is repeated.
      this.client(key).ended = false
      if (part?.request === 'malformed') this.#spoilt.add(key)
    }
    this.#moved(position)
  }

  message(id: string, event: string, data: unknown): void {
    this.messages++
    if (this.#pending.size + this.#spoilt.size) this.fail('got a message before the gaps of the beginning')
    const [key] = event.split('/') as [string]
    const text = this.ids === 'own' ? id.slice(key.length + 1) : parseWhole(id, [key])[0]!.text!
    if (this.ids === 'own' && !id.startsWith(`${key}:`)) this.fail(`a message of ${key} with the ID ${id}`)
    this.client(key).message(text, data)
    this.#moved(this.ids === 'own' ? undefined : id)
  }

  gap(key: string, gap: SSEGap, id: string | undefined): void {
    this.#pending.delete(key)
    const wasSpoilt = this.#spoilt.delete(key)
    // The log may be replaced before the gap is sent. Then the gap is about that.
    if (wasSpoilt && gap.reason !== 'epoch') {
      this.invalid++
      if (gap.reason !== 'invalid' || gap.missed !== null) this.fail(`requested nonsense, and received ${JSON.stringify(gap)}`)
      if (this.client(key).position !== gap.position) this.fail(`begins at ${this.client(key).position}, and its gap says ${gap.position}`)
    }
    else {
      this.gaps++
      this.client(key).gap(gap)
    }
    if ((id === undefined) !== (this.ids === 'own')) this.fail(`a gap with the ID ${id}`)
    this.#moved(id)
  }

  /** A channel is over. Its end is repeated at each reconnect. */
  end(key: string): void {
    this.client(key).end()
  }

  /** A batch of a poll. `hasWaited`: the server may have waited for messages. */
  batch(position: string, messages: { channel?: string, id?: string, data: unknown }[], channels: Record<string, { position: string, ended: boolean, gap: SSEGap | null, error?: unknown }>, hasWaited: boolean): void {
    const asked = this.#asked === undefined ? undefined : parseWhole(this.#asked, this.keys)
    for (const [index, key] of this.keys.entries()) {
      const of = messages.filter(({ channel }) => channel === key)
      const { position: at, ended, gap } = channels[key]!
      if (asked?.[index]!.text === undefined) {
        const first = of[0]?.id!.slice(key.length + 1).replace(/\d+$/, offset => `${Number(offset) - 1}`) ?? at
        this.#begin(key, first)
        // A poll that waits has a position: the log after it may be trimmed or replaced before the poll reads it.
        const isLostMeanwhile = hasWaited && gap !== null && gap.reason !== 'invalid'
        if (gap?.reason === 'invalid') this.invalid++
        else if (gap && !isLostMeanwhile) this.fail(`a gap of ${key}, which was not asked for: ${JSON.stringify(gap)}`)
        if (!isLostMeanwhile && (asked?.[index]!.request === 'malformed') !== (gap !== null)) this.fail(`nonsense for ${key}, and the gap ${JSON.stringify(gap)}`)
      }
      this.client(key).ended = false
      if (gap && asked?.[index]!.text !== undefined) {
        this.gaps++
        this.client(key).gap(gap)
      }
      for (const { id, data } of of) {
        this.messages++
        if (!id!.startsWith(`${key}:`)) this.fail(`a message of ${key} with the ID ${id}`)
        this.client(key).message(id!.slice(key.length + 1), data)
      }
      if (this.client(key).position !== at) this.fail(`a batch that ends at ${key}:${this.client(key).position} and says ${at}`)
      if (ended) this.client(key).end()
    }
    this.#spoilt.clear()
    this.#moved(position)
  }

  #begin(key: string, at: string): void {
    if (this.#clients.has(key)) this.resets++
    const client = new Client(this.truthOf(key), `${this.name}, ${key}`)
    this.#clients.set(key, client)
    client.begin(at, 'start', { epoch: '', offset: 0 })
  }

  /** An ID names what was received of each channel, and nothing else. */
  #moved(id: string | undefined): void {
    const position = formatWhole(this.keys.map(key => [key, this.#pending.get(key) ?? this.client(key).position]))
    if (id !== undefined && id !== position) this.fail(`the ID ${id} after ${position}`)
    // With `own`, positions of keys that are not in the present set are kept, too.
    this.lastId = this.ids === 'whole' ? position : formatWhole(Array.from(this.#clients, ([key, client]) => [key, this.#pending.get(key) ?? client.position]))
    for (const key of this.#clients.keys()) if (this.ids === 'whole' && !this.keys.includes(key)) this.#clients.delete(key)
  }

  fail(reason: string): never {
    throw new Error(`${this.name}: ${reason}.\n${[...this.#clients.values()].map(({ name, seen }) => `${name}: ${seen.slice(-8).join(' | ')}`).join('\n')}`)
  }
}
