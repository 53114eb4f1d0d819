import { OutgoingMessage } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { Network } from '#shared/utils/networks'

/** A source that is faster is told to wait when so much is held back, as a socket tells it that is full. */
const HIGH_WATER_BYTES = 65_536

interface Piece {
  at: number
  bytes: number
  send: () => void
}

export interface ShapedResponse {
  /** Applies to what is held back already, too. */
  network: Network
  /** As a network does it: without a word. */
  cut(): void
}

/**
 * Puts a network between a response and its client: bytes pass, come late, or are held back until the response is complete, as
 * a buffering proxy does it. `onClosed` is called once, when the response is over.
 */
export function shapeResponse(response: ServerResponse, network: Network, onClosed: () => void): ShapedResponse {
  const { write, end } = response
  let held: Piece[] = []
  let heldBytes = 0
  let full = false
  let complete = false
  let timer: NodeJS.Timeout | undefined

  function hold(chunk: unknown, send: () => void): boolean {
    const bytes = typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk instanceof Uint8Array ? chunk.byteLength : 0
    held.push({ at: performance.now(), bytes, send })
    heldBytes += bytes
    release()
    full = heldBytes >= HIGH_WATER_BYTES
    return !full
  }

  /** In order, whatever is due. */
  function release(): void {
    clearTimeout(timer)
    while (held.length && !(network === 'buffer' && !complete)) {
      const waitMs = network === 'delay' ? held[0]!.at + DELAY_MS - performance.now() : 0
      if (waitMs > 0) {
        timer = setTimeout(release, waitMs)
        break
      }
      const { bytes, send } = held.shift()!
      heldBytes -= bytes
      send()
    }
    if (full && heldBytes < HIGH_WATER_BYTES) {
      full = false
      response.emit('drain')
    }
  }

  const passes = () => network === 'clear' && !held.length

  // The parts of Node's overloads do not matter here: what comes is handed on as it is.
  response.write = ((...args: Parameters<typeof write>) => passes() ? write.apply(response, args) : hold(args[0], () => write.apply(response, args))) as typeof write
  response.end = ((...args: Parameters<typeof end>) => {
    complete = true
    if (passes()) return end.apply(response, args)
    // What is sent later counts as answered now: a framework would otherwise say that nobody did.
    if (!response.headersSent) response.writeHead(response.statusCode)
    hold(args[0], () => end.apply(response, args))
    return response
  }) as typeof end
  // What a reader is behind counts as its own, wherever it waits.
  Object.defineProperty(response, 'writableLength', { get: () => heldBytes + (Reflect.get(OutgoingMessage.prototype, 'writableLength', response) as number) })

  response.once('close', () => {
    clearTimeout(timer)
    held = []
    heldBytes = 0
    // What is written now is Node's to refuse.
    network = 'clear'
    onClosed()
  })

  return {
    get network() {
      return network
    },
    set network(next) {
      network = next
      release()
    },
    cut() {
      // The proxy of `nuxt dev` passes a cut on only once it has seen headers; a poll that still waits for news would hang in it.
      if (import.meta.dev) response.flushHeaders()
      setImmediate(() => response.socket?.destroy())
    },
  }
}
