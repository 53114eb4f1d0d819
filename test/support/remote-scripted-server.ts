import { inject } from 'vitest'
import type { Act, Told } from './remote-control'
import type { Step } from './scripted-server'
import { control } from './sse-text'

export { control, message } from './sse-text'

/** Replaces scripted-server.ts in a browser. A process that can listen on sockets does the work. */

const url = inject('controlUrl')
const servers = new Map<number, RemoteServer>()
const exchanges = new Map<number, Exchange>()
const waiting = new Map<number, () => void>()
let number = 0
let opened: Promise<void> | undefined

async function ask<T>(question: object): Promise<T> {
  return (await fetch(url, { method: 'POST', body: JSON.stringify(question) })).json()
}

/** Resolves when the connection to the other half is open. */
function listen(): Promise<void> {
  return opened ??= new Promise((resolve) => {
    const source = new EventSource(`${url}/told`)
    source.onopen = () => resolve()
    source.onmessage = ({ data }) => onTold(JSON.parse(data))
  })
}

function onTold(told: Told): void {
  if (told.type === 'exchange') servers.get(told.server)?.begin(told)
  else if (told.type === 'done') waiting.get(told.told)?.()
  else exchanges.get(told.exchange)?.onClose()
}

// Commands in order. Those that arrive while a request is in flight share the next one.
let acts: Act[] = []
let sending = Promise.resolve()
function act(exchange: number, path: string[], args: unknown[]): void {
  const callback = typeof args.at(-1) === 'function' ? args.at(-1) as () => void : undefined
  const told = callback && ++number
  if (told) waiting.set(told, callback)
  const values = (callback ? args.slice(0, -1) : args).map(value => value instanceof Uint8Array ? { bytes: [...value] } : value)
  if (acts.push({ exchange, path, args: values, told }) > 1) return
  sending = sending.then(() => {
    const batch = acts
    acts = []
    return ask({ acts: batch })
  })
}

class Exchange {
  closed = false
  readonly #listeners: (() => void)[] = []

  constructor(private readonly number: number, readonly request: { url: string, method: string, headers: Record<string, string> }, readonly body: string) {}

  get response() {
    const call = (...path: string[]) => (...args: unknown[]) => {
      act(this.number, ['response', ...path], args)
    }
    return {
      writeHead: call('writeHead'),
      flushHeaders: call('flushHeaders'),
      write: call('write'),
      end: call('end'),
      destroy: call('destroy'),
      socket: { end: call('socket', 'end'), destroy: call('socket', 'destroy') },
      on: (_: 'close', listener: () => void) => void this.#listeners.push(listener),
    }
  }

  onClose(): void {
    this.closed = true
    for (const listener of this.#listeners) listener()
  }

  get url(): URL {
    return new URL(this.request.url, 'http://test')
  }

  get query(): Record<string, string> {
    return Object.fromEntries(this.url.searchParams)
  }

  get isPoll(): boolean {
    return this.query.transport === 'poll'
  }

  get position(): string | undefined {
    return this.request.headers['last-event-id'] ?? this.query.position
  }

  #act(name: string, args: unknown[]): this {
    act(this.number, [name], args)
    return this
  }

  stream = (...args: unknown[]) => this.#act('stream', args)
  open = (fields: object = {}) => this.stream(control({ type: 'open', heartbeatMs: 0, ...fields }))
  write = (...args: unknown[]) => this.#act('write', args)
  end = (...args: unknown[]) => void this.#act('end', args)
  cut = () => void this.#act('cut', [])
  status = (...args: unknown[]) => void this.#act('status', args)
  batch = (...args: unknown[]) => void this.#act('batch', args)
}

class RemoteServer {
  readonly exchanges: Exchange[] = []
  #steps: Step[] = []
  #next = 0

  constructor(private readonly id: number, readonly url: string) {
    servers.set(id, this)
  }

  begin({ exchange, url, method, headers, body }: Extract<Told, { type: 'exchange' }>): void {
    const own = new Exchange(exchange, { url, method, headers }, body)
    exchanges.set(exchange, own)
    this.exchanges.push(own)
    void this.#steps[Math.min(this.#next++, this.#steps.length - 1)]?.(own as never)
  }

  script(...steps: Step[]): void {
    this.#steps = steps
    this.#next = 0
  }

  async close(): Promise<void> {
    await ask({ stop: this.id })
    servers.delete(this.id)
  }
}

export async function startScriptedServer(): Promise<RemoteServer> {
  await listen()
  const { id, url } = await ask<{ id: number, url: string }>({ start: true })
  return new RemoteServer(id, url)
}
