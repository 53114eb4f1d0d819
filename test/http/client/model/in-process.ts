import type { Wire } from './server'

/** The parameters of a `fetch`, as the request that a server gets. */
export function readRequest(url: string, headers: Headers): Pick<Wire, 'path' | 'isPoll' | 'position' | 'waitMs' | 'life'> {
  const { pathname, searchParams } = new URL(url, 'http://model')
  return {
    path: pathname,
    isPoll: searchParams.get('transport') === 'poll',
    position: headers.get('last-event-id') ?? searchParams.get('position') ?? undefined,
    waitMs: Number(searchParams.get('waitMs')),
    life: Number(headers.get('x-life')),
  }
}

/**
 * A `fetch` without a network: its answers are real ones, its bytes arrive when the server writes them. `aside` answers the client's
 * requests beside its attempts: the probe of the network, and the check for a redirecting gate.
 */
export function inProcessFetch(onRequest: (wire: Wire) => void, aside: (url: string, init: RequestInit) => Promise<Response>): typeof fetch {
  let number = 0
  return (input, init) => new Promise((resolve, reject) => {
    if (init!.method === 'HEAD' || String(input).endsWith('/__sse/probe')) return resolve(aside(String(input), init!))
    const signal = init!.signal!
    let controller!: ReadableStreamDefaultController<Uint8Array>
    let open = !signal.aborted
    const body = new ReadableStream<Uint8Array>({ start: it => void (controller = it) })
    let aborted = false
    const abort = () => {
      aborted = open
      fail(new DOMException('Aborted', 'AbortError'))
    }
    function fail(error: Error): void {
      if (open) controller.error(error)
      open = false
      reject(error)
    }
    if (!open) return abort()
    signal.addEventListener('abort', abort)
    onRequest({
      ...readRequest(String(input), init!.headers as Headers),
      number: ++number,
      get open() {
        return open
      },
      get aborted() {
        return aborted
      },
      head: (status, headers) => resolve(new Response(status === 204 ? null : body, { status, headers })),
      write: bytes => controller.enqueue(bytes),
      end() {
        if (open) controller.close()
        open = false
      },
      cut: () => fail(new TypeError('fetch failed')),
    })
  })
}
