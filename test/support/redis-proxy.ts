import { startRelay } from './relay.ts'

export interface RedisProxy {
  url: string
  /** Commands sent since the last `reset()`, by name. */
  readonly commands: ReadonlyMap<string, number>
  /** The most scripts in flight at a time since the last `reset()`. */
  readonly mostScripts: number
  reset(): void
  /** Cuts all connections, and refuses new ones until `start()`. */
  stop(): void
  start(): void
  close(): Promise<void>
}

const CR = 13

/** Index after one value of the protocol (RESP 2) at `at`; `undefined` when it is not complete. */
function endOf(bytes: Buffer, at: number): number | undefined {
  const line = bytes.indexOf(CR, at)
  if (line < 0 || line + 2 > bytes.length) return undefined
  const kind = String.fromCharCode(bytes[at]!)
  const size = Number(bytes.toString('latin1', at + 1, line))
  let end: number | undefined = line + 2
  if (kind === '$' && size >= 0) return end + size + 2 <= bytes.length ? end + size + 2 : undefined
  if (kind === '*') for (let n = 0; n < size && end !== undefined; n++) end = endOf(bytes, end)
  return end
}

/** Collects pieces, and calls `onValue` with each complete value. */
function eachValue(onValue: (value: Buffer) => void): (piece: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  return (piece) => {
    rest = rest.length ? Buffer.concat([rest, piece]) : piece
    let at = 0
    for (let end = endOf(rest, at); end !== undefined; end = at < rest.length ? endOf(rest, at) : undefined) {
      onValue(rest.subarray(at, end))
      at = end
    }
    rest = rest.subarray(at)
  }
}

/** Proxy between a process and Redis on `port`. Counts commands and scripts in flight, and can simulate an outage. */
export async function startRedisProxy(port: number): Promise<RedisProxy> {
  const commands = new Map<string, number>()
  let scripts = 0
  let mostScripts = 0
  const relay = await startRelay(port, (client, redis) => {
    // Commands without an answer, in order. Not for a connection with subscriptions, where messages arrive between answers.
    const waiting: string[] = []
    const onCommand = eachValue((value) => {
      const name = value.toString('latin1', value.indexOf('\n', value.indexOf('\n') + 1) + 1).split('\r', 1)[0]!.toLowerCase()
      commands.set(name, (commands.get(name) ?? 0) + 1)
      waiting.push(name)
      if (name.startsWith('eval')) mostScripts = Math.max(mostScripts, ++scripts)
    })
    const onAnswer = eachValue(() => {
      if (waiting.shift()?.startsWith('eval')) scripts--
    })
    client.on('data', (piece) => {
      onCommand(piece)
      redis.write(piece)
    })
    redis.on('data', (piece) => {
      onAnswer(piece)
      client.write(piece)
    })
    client.on('close', () => scripts -= waiting.splice(0).filter(name => name.startsWith('eval')).length)
  })
  return {
    url: `redis://127.0.0.1:${relay.port}`,
    commands,
    get mostScripts() {
      return mostScripts
    },
    reset() {
      commands.clear()
      mostScripts = scripts
    },
    stop() {
      relay.away = true
      relay.cut()
    },
    start() {
      relay.away = false
    },
    close: relay.close,
  }
}
