import type { OwnHeaders } from './own-headers'

export type { OwnHeaders }

/** Destination of bytes: Node's response, or a web stream. */
export interface ResponseSink {
  /** Begins to watch the client, before the response is opened. Calls `onClose` if the client has disconnected already. */
  watch(events: SinkEvents): void
  /**
   * Sends status and headers, including `headers`, together with the next write. Returns `false` if the request has another response
   * already.
   */
  open(headers?: OwnHeaders): boolean
  /** Writes a chunk. Returns `false` when the client reads too slowly: `onDrain` is called when there is room again. Never throws. */
  write(chunk: string | Uint8Array): boolean
  /** Ends the response after the written bytes. */
  end(): void
  /** Discards the written bytes and closes the connection. */
  destroy(): void
  /** Runs `task` one turn later, in the request that may write to the response. */
  afterTick(task: () => void): void
  /** Returns a function that runs `task` in the request that may write to the response, wherever it is called. */
  callable(task: () => void): () => void
  /** Bytes that were accepted and are still in the buffer of the response. */
  readonly bufferedBytes: number
}

export interface SinkEvents {
  onDrain(): void
  /** Called when the response is over: sent, cut, or abandoned by the client. */
  onClose(): void
}

export interface SSEResponse extends ResponseSink {
  /** Whether the framework must wait until the response is over. */
  readonly holdsRequest: boolean
  /** Return value for the handler once the response has begun. */
  readonly answer: unknown
}
