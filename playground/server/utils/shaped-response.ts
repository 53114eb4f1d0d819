import { OutgoingMessage } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { Network } from '#shared/utils/networks'

/** Amount of held-back data at which the source must wait, as with a full socket. */
const HIGH_WATER_BYTES = 65_536

interface Piece {
  at: number
  bytes: number
  send: () => void
}

export interface ShapedResponse {
  /** Applies to data that is already held back, too. */
  network: Network
  /** Cuts the connection as a network does: without a last message. */
  cut(): void
}

/**
 * Simulates a network between a response and its client. Bytes pass, are delayed, or are held back until the response is complete, as by a
 * buffering proxy. `onClosed` is called once, when the response is over.
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

  /** Writes in order every chunk that is due. */
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

  const passes = () => network === 'normal' && !held.length

  // The overloads of Node do not matter here: the arguments are passed on unchanged.
  response.write = ((...args: Parameters<typeof write>) => passes() ? write.apply(response, args) : hold(args[0], () => write.apply(response, args))) as typeof write
  response.end = ((...args: Parameters<typeof end>) => {
    complete = true
    if (passes()) return end.apply(response, args)
    // A delayed response must count as answered now: otherwise a framework would report that no handler responded.
    if (!response.headersSent) response.writeHead(response.statusCode)
    hold(args[0], () => end.apply(response, args))
    return response
  }) as typeof end
  // Held-back bytes count as the reader's backlog, as bytes in the socket do.
  Object.defineProperty(response, 'writableLength', { get: () => heldBytes + (Reflect.get(OutgoingMessage.prototype, 'writableLength', response) as number) })

  response.once('close', () => {
    clearTimeout(timer)
    held = []
    heldBytes = 0
    // Later writes go to Node, which refuses them.
    network = 'normal'
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
      // The proxy of `nuxt dev` passes on a cut only once it has received headers; a waiting poll would hang in it.
      if (import.meta.dev) response.flushHeaders()
      setImmediate(() => response.socket?.destroy())
    },
  }
}
