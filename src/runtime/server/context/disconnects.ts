import type { SSEPublicError } from '../../shared/errors'
import type { Connection } from '../connection/connection'
import { whenAborted } from '../lib/abort'
import { outside } from '../lib/async-context'
import { retryDelayMs } from '../lib/delays'
import { platform } from '../lib/platform/platform'
import { pause } from '../lib/tick'
import type { LogDriver, LogEntry } from '../drivers/types'
import { unpackData } from '../drivers/packed-data'
import { Hub } from '../hub/hub'
import { Pull } from '../hub/pull'
import { READ_RETRY } from '../hub/rereads'
import { DISCONNECTS } from './disconnect-channel'
import type { Disconnect } from './disconnect-channel'

/** Rate of reconnects that this process may cause: 10,000 clients reconnect within 20 s. */
export const RECONNECTS_PER_SECOND = 500

/** How a request ends: with an error, or, without one, with the request to reconnect. */
export interface Ending {
  error?: SSEPublicError
  /** Minimum time over which reconnects are spread, in milliseconds. */
  spreadMs?: number
}

/** Stream or poll of a client key. */
export interface Disconnectable {
  readonly connection?: Connection
  disconnect(ending: Ending): void
}

export interface DisconnectsInit {
  driver: LogDriver
  closing: AbortSignal
  report(error: unknown): void
}

/**
 * Open streams and polls by client key, and the subscription that ends them when any instance calls `disconnectSSE`. The subscription begins
 * with the first request that has a key.
 *
 * If messages of the internal channel may have been missed for good, all requests that were open are asked to reconnect: the handlers' checks
 * then decide.
 */
export class Disconnects {
  readonly #byKey = new Map<string, Set<Disconnectable>>()
  #listening = false
  /** First attempt to subscribe; `undefined` when it is over. */
  #starting?: Promise<void>

  constructor(private readonly init: DisconnectsInit) {}

  /** Keys with an open request: 0 when none is left. */
  get size(): number {
    return this.#byKey.size
  }

  /**
   * Begins the subscription. Returns a promise while its first attempt is in flight: a request that went on without it might miss its
   * disconnect. It never rejects.
   */
  listen(): Promise<void> | undefined {
    if (!this.#listening && platform.hasBackground) {
      this.#listening = true
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#starting = promise
      outside(() => void this.#run(() => {
        this.#starting = undefined
        resolve()
      }).catch(this.init.report))
    }
    return this.#starting
  }

  /** Adds an open request. Returns a function that removes it. */
  add(key: string, request: Disconnectable): () => void {
    let requests = this.#byKey.get(key)
    if (!requests) this.#byKey.set(key, requests = new Set())
    requests.add(request)
    return () => {
      if (requests.delete(request) && requests.size === 0 && this.#byKey.get(key) === requests) this.#byKey.delete(key)
    }
  }

  /** Open requests with their keys. For DevTools. */
  * entries(): Generator<[key: string, request: Disconnectable]> {
    for (const [key, requests] of this.#byKey) for (const request of requests) yield [key, request]
  }

  /** Ends the open requests of a key in this process. */
  perform({ key, error }: Disconnect): void {
    this.#end([...this.#byKey.get(key) ?? []], { error })
  }

  #end(requests: Disconnectable[], ending: Ending): void {
    for (const request of requests) {
      try {
        request.disconnect(ending)
      }
      catch (error) {
        this.init.report(error)
      }
    }
  }

  /** Calls `begun` when the first attempt has succeeded or failed. Ends with the process. */
  async #run(begun: () => void): Promise<void> {
    const { driver, closing } = this.init
    // Its own hub, so that the application's channels can be counted.
    const hub = new Hub(driver)
    for (let failures = 0; !closing.aborted; failures++) {
      try {
        const reader = await hub.reader(DISCONNECTS, { kind: 'now' }, 'now')
        if (failures > 0) this.#recallAll()
        failures = 0
        begun()
        await this.#follow(new Pull(reader))
      }
      catch {
        // The driver cannot be reached, which those report who use it.
        begun()
      }
      await pause(retryDelayMs(READ_RETRY, failures), closing)
    }
    begun()
  }

  async #follow(pull: Pull): Promise<void> {
    const release = whenAborted(this.init.closing, () => pull.close())
    try {
      if (this.init.closing.aborted) return
      for (let step = await pull.next(); step; step = await pull.next()) {
        if (step.type === 'messages') for (const entry of step.run.entries) this.#take(entry)
        else if (step.type === 'gap') this.#recallAll()
        else if (step.type !== 'unreachable') return
      }
    }
    finally {
      release()
      pull.close()
    }
  }

  #take({ data }: LogEntry): void {
    const message = JSON.parse(unpackData(data)) as Partial<Disconnect> | null
    // Another version may send more.
    if (typeof message?.key === 'string') this.perform(message as Disconnect)
  }

  /** Asks all clients to reconnect. */
  #recallAll(): void {
    const requests = [...this.#byKey.values()].flatMap(some => [...some])
    this.#end(requests, { spreadMs: requests.length * 1_000 / RECONNECTS_PER_SECOND })
  }
}
