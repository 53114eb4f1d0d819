import { SSEReader as Reader } from '../../src/runtime/test'

export interface Control { type: string, [key: string]: unknown }

/** Time limit for expected events. It is long because machines can be slow. */
const UNTIL_MS = 45_000

/** Reader of `nuxt-sse/test`, opened with the arguments of `fetch`, since these tests also send requests that no client would. */
export class SSEReader extends Reader {
  declare readonly controls: Control[]

  static async open(url: string, init: RequestInit = {}): Promise<SSEReader> {
    const controller = new AbortController()
    const signal = init.signal ? AbortSignal.any([init.signal, controller.signal]) : controller.signal
    return new SSEReader(await fetch(url, { ...init, signal }), controller, UNTIL_MS)
  }
}
