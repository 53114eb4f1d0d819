import { SSEError } from '../../shared/errors'
import type { Connection } from '../connection/connection'
import type { Disconnectable, Ending } from '../context/disconnects'

/** Request of a client key, from before its handler runs to the end of its response: what `disconnectSSE` ends. */
export class KeyedRequest implements Disconnectable {
  /** Ends a waiting poll. */
  onDisconnect: () => void = () => {}
  #ending?: Ending
  readonly #end: () => void

  constructor(readonly connection: Connection) {
    this.#end = connection.sink.callable(() => {
      const { error, spreadMs = 0 } = this.#ending!
      if (!connection.life.isOpen) this.onDisconnect()
      else if (error) connection.fail(error)
      else connection.leave(Math.ceil(Math.random() * Math.max(connection.options.retryMs, spreadMs)))
    })
  }

  get isEnding(): boolean {
    return this.#ending !== undefined
  }

  disconnect(ending: Ending): void {
    // The first one stands, unless it only asked the client to reconnect.
    if (this.#ending?.error) return
    this.#ending = ending
    this.#end()
  }

  /** Its stream has opened. A disconnect that came before ends it now. */
  onOpen(): void {
    if (this.#ending) this.connection.sink.afterTick(this.#end)
  }

  /** Throws the error of a disconnect that came before the response has begun. */
  assertConnected(): void {
    const { error } = this.#ending ?? {}
    if (error) throw new SSEError(error.code, error.message, error)
  }
}
