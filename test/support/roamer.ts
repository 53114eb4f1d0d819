import { SSEReader } from './read-sse'

/** A reader that continues at any available server, after its last ID, like the client. */
export class Roamer {
  readonly seen: { id: string, n: number }[] = []
  readonly gaps: unknown[] = []
  #stopped = false
  #reader?: SSEReader
  #taken = 0

  constructor(private readonly urls: () => string[], private at: number) {}

  async run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#read()
      }
      catch {
        await new Promise(resolve => setTimeout(resolve, 20))
      }
      this.at++
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#reader?.close()
  }

  async #read(): Promise<void> {
    const urls = this.urls()
    const lastId = this.seen.at(-1)?.id
    const reader = this.#reader = await SSEReader.open(urls[this.at % urls.length]!, { headers: lastId ? { 'last-event-id': lastId } : {} })
    if (reader.status !== 200) throw new Error(String(reader.status))
    this.#taken = 0
    let over = false
    while (!this.#stopped && !over) {
      over = await Promise.race([reader.until(r => r.events.length > this.#taken, 600_000).then(() => false, () => true), reader.finished.then(() => true)])
      this.#take(reader)
    }
  }

  #take(reader: SSEReader): void {
    for (const { id, event, data } of reader.events.slice(this.#taken)) {
      const value = JSON.parse(data)
      if (event !== 'sse') this.seen.push({ id: id!, n: value.n })
      else if (value.type === 'gap') this.gaps.push(value)
    }
    this.#taken = reader.events.length
  }
}
