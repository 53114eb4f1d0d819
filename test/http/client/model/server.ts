import { control } from '../../../support/scripted-server'

/** One request as its server sees it, over whatever carries it. */
export interface Wire {
  readonly number: number
  readonly path: string
  readonly isPoll: boolean
  /** The requested path, query and headers. */
  readonly position: string | undefined
  readonly waitMs: number
  /** Session of the client when it sent the request. */
  readonly life: number
  /** Neither side has ended it. */
  readonly open: boolean
  /** The client has ended it. */
  readonly aborted: boolean
  head(status: number, headers: Record<string, string>): void
  write(bytes: Uint8Array): void
  end(): void
  /** Cuts it, as a broken network does. */
  cut(): void
}

export interface Entry {
  epoch: string
  offset: number
  path: string
  /** The request that has carried it. */
  wire: number
  text: string
}

/** A channel: its retained messages begin after `trimmed`. */
export interface Log { epoch: number, trimmed: number, head: number, ended: boolean }

interface Answered { wire: Wire, sent: number, live: boolean, held: boolean, withheld: string | undefined, refused?: boolean }

const encoder = new TextEncoder()
/** Characters of one byte, of two and of four: so that a cut may go through one. */
const TEXT = 'e é 🎉'

/** Applies commands to its requests; without commands it does nothing. Its logs are by path. */
export class ModelServer {
  readonly wires: Wire[] = []
  readonly logs = new Map<string, Log>()
  private answers = new Map<Wire, Answered>()
  heartbeatMs = 1_000
  /** Bytes of one write. */
  split = 1_000

  /** `onStart`: a client without a position starts there. */
  constructor(private onStart: (wire: Wire, position: string) => void, private readonly isForeign = false) {}

  log(path: string): Log {
    let log = this.logs.get(path)
    if (!log) this.logs.set(path, log = { epoch: 1, trimmed: 0, head: 2, ended: false })
    return log
  }

  get open(): Wire[] {
    return this.wires.filter(wire => wire.open)
  }

  /** The request that has waited the longest for an answer. */
  get unanswered(): Wire | undefined {
    return this.open.find(wire => !this.answers.has(wire))
  }

  /** Streams that have started properly. */
  get live(): Answered[] {
    return [...this.answers.values()].filter(answer => answer.live && answer.wire.open)
  }

  /** Polls that wait for news. */
  get held(): Answered[] {
    return [...this.answers.values()].filter(answer => answer.held && answer.wire.open)
  }

  /** The server has reported that it did not process the request. */
  refused(wire: Wire): boolean {
    return !!this.answers.get(wire)?.refused
  }

  private take(wire: Wire): Answered {
    const answer = { wire, sent: 0, live: false, held: false, withheld: undefined }
    this.answers.set(wire, answer)
    return answer
  }

  status(wire: Wire, code: number, body: unknown = '', headers: Record<string, string> = {}): void {
    this.take(wire).refused = code >= 400
    wire.head(code, { 'content-type': typeof body === 'string' ? 'text/html' : 'application/json', ...headers })
    if (code !== 204) this.bytes(wire, typeof body === 'string' ? body : JSON.stringify(body))
    wire.end()
  }

  cut(wire: Wire): void {
    this.take(wire)
    wire.cut()
  }

  /** The requested content, by its type; and arbitrary text, without an end. */
  begin(wire: Wire, text: string): void {
    this.take(wire)
    wire.head(200, { 'content-type': wire.isPoll ? 'application/json' : 'text/event-stream' })
    this.bytes(wire, text)
  }

  /** Answers as a server of this module does, or as one that knows nothing of its protocol: no `open`, no polls, and an end of bytes at the end. */
  honest(wire: Wire): void {
    if (this.isForeign && wire.isPoll) return this.status(wire, 200, '<html>')
    const answer = this.take(wire)
    const log = this.log(wire.path)
    const { from, gap } = this.resume(log, wire.position)
    if (wire.position === undefined) this.onStart(wire, `e${log.epoch}.${from}`)
    if (wire.isPoll) return this.batch(answer, from, gap)
    if (log.ended && from === log.head && !gap) return this.status(wire, 204)
    answer.live = true
    answer.sent = from
    wire.head(200, { 'content-type': 'text/event-stream', ...!this.isForeign && { 'x-nuxt-sse': '1' } })
    if (this.isForeign) this.write(answer, ':\n')
    else this.write(answer, control({ type: 'open', heartbeatMs: this.heartbeatMs, position: `e${log.epoch}.${from}` }, `e${log.epoch}.${from}`))
    if (gap) this.write(answer, control({ type: 'gap', ...gap }))
    this.deliver(answer)
  }

  private resume({ epoch, trimmed, head }: Log, position: string | undefined): { from: number, gap?: { reason: string, missed: null, position: string } } {
    if (position === undefined) return { from: trimmed }
    const [, life, offset] = /^e(\d+)\.(\d+)$/.exec(position) ?? []
    const reason = life === undefined ? 'invalid' : Number(life) !== epoch ? 'epoch' : Number(offset) < trimmed ? 'trimmed' : Number(offset) > head ? 'invalid' : undefined
    return reason ? { from: trimmed, gap: { reason, missed: null, position: `e${epoch}.${trimmed}` } } : { from: Number(offset) }
  }

  private batch(answer: Answered, from: number, gap?: object): void {
    const { wire } = answer
    const log = this.log(wire.path)
    answer.sent = from
    answer.held = from === log.head && !gap && !log.ended && wire.waitMs > 0
    if (!answer.held) this.answerPoll(answer, gap)
  }

  /** A poll that waited long enough, or has news. */
  answerPoll(answer: Answered, gap?: object): void {
    const { wire, sent } = answer
    const { epoch, head, ended } = this.log(wire.path)
    const messages = []
    for (let offset = sent + 1; offset <= head; offset++) messages.push({ id: `e${epoch}.${offset}`, data: this.entry(wire, offset) })
    answer.held = false
    wire.head(200, { 'content-type': 'application/json' })
    this.bytes(wire, JSON.stringify({ type: 'batch', messages, position: `e${epoch}.${head}`, ended, gap: gap ?? null, pollMs: 0 }))
    wire.end()
  }

  /** The messages that a stream has not been sent yet. */
  private deliver(answer: Answered): void {
    const { wire } = answer
    const log = this.log(wire.path)
    while (answer.sent < log.head) {
      answer.sent++
      this.write(answer, `id: e${log.epoch}.${answer.sent}\ndata: ${JSON.stringify(this.entry(wire, answer.sent))}\n\n`)
    }
    if (log.ended && answer.withheld === undefined) {
      if (!this.isForeign) this.write(answer, control({ type: 'end' }))
      wire.end()
    }
  }

  private entry({ path, number }: Wire, offset: number): Entry {
    return { epoch: `e${this.log(path).epoch}`, offset, path, wire: number, text: TEXT }
  }

  publish(path: string, count: number): void {
    const log = this.log(path)
    if (log.ended) return
    log.head += count
    this.tell(path)
  }

  finish(path: string): void {
    this.log(path).ended = true
    this.tell(path)
  }

  private tell(path: string): void {
    for (const answer of this.live) {
      if (answer.wire.path === path) this.deliver(answer)
    }
    for (const answer of this.held) {
      if (answer.wire.path === path) this.answerPoll(answer)
    }
  }

  /** Another server's clients could not learn that something is gone: its logs are kept whole. */
  trim(path: string, count: number): void {
    if (this.isForeign) return
    const log = this.log(path)
    log.trimmed = Math.min(log.head, log.trimmed + count)
  }

  /** The log is lost, and all its readers are cut. */
  lose(path: string): void {
    const log = this.log(path)
    if (!this.isForeign) this.logs.set(path, { epoch: log.epoch + 1, trimmed: 0, head: 1, ended: false })
    for (const wire of this.open) {
      if (wire.path === path) wire.cut()
    }
  }

  /** An intermediary holds the bytes back, or releases them. */
  withhold(answer: Answered, yes: boolean): void {
    if (yes) {
      answer.withheld ??= ''
      return
    }
    const text = answer.withheld ?? ''
    answer.withheld = undefined
    this.bytes(answer.wire, text)
    this.deliver(answer)
  }

  write(answer: Answered, text: string): void {
    if (answer.withheld !== undefined) answer.withheld += text
    else this.bytes(answer.wire, text)
  }

  private bytes(wire: Wire, text: string): void {
    const bytes = encoder.encode(text)
    for (let at = 0; at < bytes.length && wire.open; at += this.split) wire.write(bytes.subarray(at, at + this.split))
  }
}
