import { connect } from 'node:net'
import type { Socket } from 'node:net'
import process from 'node:process'
import { Sequence } from './sequence.ts'

/** Readers in a process of their own: raw sockets that only count marks, so that 10,000 of them cost less than the measured server. */

/** Requests of the parent. Each is answered with a {@link LoadState}; a `wait` is answered once its condition holds. */
export type LoadRequest
  = | { type: 'open', count: number, port: number, path: string, group: string, paused?: boolean, check?: boolean }
    /** Opens one reader: `ms` is the time from its `connect` until it has counted `each` marks. */
    | { type: 'visit', port: number, path: string, group: string, each: number, timeoutMs: number }
    /** Disconnects the readers of `group`. */
    | { type: 'leave', group: string }
    /** Waits until every reader of `group` has counted `each` marks since the last `reset`, or `timeoutMs` have passed. */
    | { type: 'wait', group: string, each: number, timeoutMs: number }
    /** Waits until every reader of `group`, opened with `check`, has received the message at `offset`. */
    | { type: 'wait-for', group: string, offset: number, timeoutMs: number }
    | { type: 'reset', measure?: boolean }
    | { type: 'state', group: string }
    | { type: 'resume', group: string }
    | { type: 'close' }

export interface LoadState {
  readers: number
  /** Marks counted by the group since the last `reset`: in total, and by the reader with the fewest. */
  total: number
  fewest: number
  bytes: number
  /** Number of readers whose connection ended. */
  ended: number
  /** For readers with `check`: messages that were out of sequence, and readers that received a gap. */
  wrong?: number
  gapped?: number
  /** Microseconds from publish to receipt, sorted, if `reset` enabled measuring. */
  latencies?: number[]
  timedOut?: boolean
  /** Duration of a `visit`, in milliseconds. */
  ms?: number
}

const MARK = '~'.charCodeAt(0)
const OPEN_AT_ONCE = 200
/** One buffer for all sockets: each read is processed before the next one. */
const buffer = Buffer.allocUnsafe(1_048_576)

class Reader {
  marks = 0
  bytes = 0
  ended = false
  socket!: Socket
  readonly sequence?: Sequence

  constructor(check: boolean) {
    if (check) this.sequence = new Sequence()
  }

  open(port: number, path: string, paused: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let headed = false
      const socket = this.socket = connect({
        host: '127.0.0.1',
        port,
        onread: {
          buffer,
          callback: (length) => {
            this.take(length)
            if (headed) return true
            headed = true
            resolve()
            return !paused
          },
        },
      })
      socket.on('error', reject)
      socket.on('close', () => this.ended = true)
      socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream;positions=own\r\n\r\n`)
    })
  }

  take(length: number): void {
    this.bytes += length
    // View of the part that was read: the bytes after it belong to another socket's read.
    const read = length === buffer.length ? buffer : buffer.subarray(0, length)
    this.sequence?.take(read)
    for (let at = read.indexOf(MARK); at !== -1; at = read.indexOf(MARK, at + 1)) {
      this.marks++
      marked++
      if (latencies) measure(read, at)
    }
    if (waiting && marked >= waiting.least) waiting.check()
  }
}

const groups = new Map<string, Reader[]>()
let marked = 0
let latencies: number[] | undefined
let waiting: { least: number, check(): void } | undefined

/** The message holds its publish time, by a clock that all processes of a machine share. */
function measure(read: Buffer, mark: number): void {
  const from = read.lastIndexOf('"at":', mark)
  if (from === -1) return
  const at = Number.parseInt(read.toString('latin1', from + 5, from + 25), 10)
  latencies!.push(Number(process.hrtime.bigint() / 1_000n) - at)
}

function state(group: string): LoadState {
  const readers = groups.get(group) ?? []
  let total = 0
  let fewest = Infinity
  let bytes = 0
  let ended = 0
  let wrong = 0
  let gapped = 0
  for (const reader of readers) {
    total += reader.marks
    fewest = Math.min(fewest, reader.marks)
    bytes += reader.bytes
    if (reader.ended) ended++
    wrong += reader.sequence?.wrong ?? 0
    if (reader.sequence?.gaps) gapped++
  }
  return { readers: readers.length, total, fewest, bytes, ended, wrong, gapped }
}

async function open({ count, port, path, group, paused = false, check = false }: Extract<LoadRequest, { type: 'open' }>): Promise<void> {
  const readers = groups.get(group) ?? []
  groups.set(group, readers)
  for (let left = count; left > 0; left -= OPEN_AT_ONCE) {
    const some = Array.from({ length: Math.min(left, OPEN_AT_ONCE) }, () => new Reader(check))
    await Promise.all(some.map(reader => reader.open(port, path, paused)))
    readers.push(...some)
  }
}

function wait(group: string, timeoutMs: number, least: number, arrived: (reader: Reader) => boolean): Promise<boolean> {
  const readers = groups.get(group) ?? []
  return new Promise((resolve) => {
    const finish = (done: boolean) => {
      clearTimeout(timer)
      waiting = undefined
      resolve(done)
    }
    const check = () => {
      if (readers.every(arrived)) finish(true)
    }
    const timer = setTimeout(() => finish(false), timeoutMs)
    waiting = { least, check }
    check()
  })
}

function waited(group: string, done: boolean): LoadState {
  return { ...state(group), timedOut: !done, latencies: latencies?.sort((a, b) => a - b) }
}

async function visit({ port, path, group, each, timeoutMs }: Extract<LoadRequest, { type: 'visit' }>): Promise<LoadState> {
  const began = performance.now()
  await open({ type: 'open', count: 1, port, path, group })
  const done = await wait(group, timeoutMs, 0, ({ marks }) => marks >= each)
  return { ...state(group), timedOut: !done, ms: performance.now() - began }
}

function leave(readers: Reader[]): void {
  // A reset leaves no TIME_WAIT: tens of thousands of them would use up the ports.
  for (const { socket } of readers) socket.resetAndDestroy()
}

async function answer(request: LoadRequest): Promise<LoadState | object> {
  switch (request.type) {
    case 'open':
      await open(request)
      return state(request.group)
    case 'visit':
      return visit(request)
    case 'leave':
      leave(groups.get(request.group) ?? [])
      groups.delete(request.group)
      return {}
    case 'wait':
      return waited(request.group, await wait(request.group, request.timeoutMs, request.each * (groups.get(request.group)?.length ?? 0), ({ marks }) => marks >= request.each))
    case 'wait-for':
      return waited(request.group, await wait(request.group, request.timeoutMs, 0, ({ sequence }) => sequence!.last >= request.offset))
    case 'reset':
      for (const readers of groups.values()) for (const reader of readers) reader.marks = reader.bytes = 0
      marked = 0
      latencies = request.measure ? [] : undefined
      return {}
    case 'state':
      return state(request.group)
    case 'resume':
      for (const { socket } of groups.get(request.group) ?? []) socket.resume()
      return {}
    case 'close':
      for (const readers of groups.values()) leave(readers)
      groups.clear()
      return {}
  }
}

process.on('message', async ({ id, request }: { id: number, request: LoadRequest }) => {
  try {
    process.send!({ id, result: await answer(request) })
  }
  catch (error) {
    process.send!({ id, error: String(error) })
  }
})
process.on('disconnect', () => process.exit(0))
