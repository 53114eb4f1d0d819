import { createParser } from 'eventsource-parser'
import type { EventSourceMessage } from 'eventsource-parser'

export interface Control { type: string, [key: string]: unknown }

/** Reads an event stream with a parser that is not ours, as any client would. */
export class SSEReader implements AsyncDisposable {
  readonly events: EventSourceMessage[] = []
  readonly comments: string[] = []
  raw = ''
  retry?: number
  /** Resolves when the body has ended, or was cut (`cut` tells which). */
  readonly finished: Promise<void>
  cut = false
  readonly #controller: AbortController
  #waiting = new Set<() => void>()

  private constructor(readonly response: Response, controller: AbortController) {
    this.#controller = controller
    this.finished = this.#read()
  }

  static async open(url: string, init: RequestInit = {}): Promise<SSEReader> {
    const controller = new AbortController()
    return new SSEReader(await fetch(url, { ...init, signal: controller.signal }), controller)
  }

  async #read(): Promise<void> {
    const parser = createParser({
      onEvent: event => void this.events.push(event),
      onComment: comment => void this.comments.push(comment),
      onRetry: retry => void (this.retry = retry),
    })
    const decoder = new TextDecoder()
    try {
      // The DOM's types do not know that a stream can be iterated, which Node's can.
      for await (const chunk of (this.response.body ?? []) as unknown as AsyncIterable<Uint8Array>) {
        const text = decoder.decode(chunk, { stream: true })
        this.raw += text
        parser.feed(text)
        for (const check of this.#waiting) check()
      }
    }
    catch {
      this.cut = true
    }
    for (const check of this.#waiting) check()
  }

  get status(): number {
    return this.response.status
  }

  get controls(): Control[] {
    return this.events.filter(({ event }) => event === 'sse').map(({ data }) => JSON.parse(data))
  }

  get messages(): { id?: string, event?: string, data: unknown }[] {
    return this.events.filter(({ event }) => event !== 'sse').map(({ id, event, data }) => ({ id, event, data: JSON.parse(data) }))
  }

  get data(): unknown[] {
    return this.messages.map(({ data }) => data)
  }

  /** Resolves as soon as `condition` holds; rejects when the stream ends first. */
  async until(condition: (reader: this) => boolean, timeoutMs = 5_000): Promise<this> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    let over = false
    void this.finished.then(() => {
      over = true
      check()
    })
    const check = () => {
      if (condition(this)) resolve()
      else if (over) reject(new Error(`The stream ended first. Read so far: ${this.raw.slice(-2000)}`))
    }
    const timer = setTimeout(() => reject(new Error(`Not within ${timeoutMs} ms. Read so far: ${this.raw.slice(-2000)}`)), timeoutMs)
    this.#waiting.add(check)
    check()
    try {
      await promise
    }
    finally {
      clearTimeout(timer)
      this.#waiting.delete(check)
    }
    return this
  }

  async close(): Promise<void> {
    this.#controller.abort()
    await this.finished
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
