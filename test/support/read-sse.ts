import { SSEReader as Reader } from '../../src/runtime/test'

export interface Control { type: string, [key: string]: unknown }

/** How long to wait for what must come: long, for the sake of slow machines. */
const UNTIL_MS = 20_000

/** The reader of `nuxt-sse/test`, opened with what `fetch` takes: our own tests also send what no client would. */
export class SSEReader extends Reader {
  declare readonly controls: Control[]

  static async open(url: string, init: RequestInit = {}): Promise<SSEReader> {
    const controller = new AbortController()
    return new SSEReader(await fetch(url, { ...init, signal: controller.signal }), controller, UNTIL_MS)
  }
}
