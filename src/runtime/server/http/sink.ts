import type { OwnHeaders } from './own-headers'

export type { OwnHeaders }

/** Where bytes are written to: Node's response, or a web stream. */
export interface ResponseSink {
  /** Begins to watch the peer, also before the response is opened. Calls `onClose` if it has left already. */
  watch(events: SinkEvents): void
  /** Sends status and headers, with those of `headers`, with whatever is written next. `false` when somebody else has answered the request. */
  open(headers?: OwnHeaders): boolean
  /** `false` when the peer does not keep up: `onDrain` is called when it does again. Never throws. */
  write(chunk: string | Uint8Array): boolean
  /** Ends the response behind what was written. */
  end(): void
  /** Gives up what was written and cuts. */
  destroy(): void
  /** Runs `task` one turn later, where the response can be written to. */
  afterTick(task: () => void): void
  /** A function that runs `task` where the response can be written to, wherever it is called. */
  callable(task: () => void): () => void
  /** Bytes accepted and not yet taken by the peer's side of the socket. */
  readonly bufferedBytes: number
}

export interface SinkEvents {
  onDrain(): void
  /** The response is over: sent, cut, or left by the peer. */
  onClose(): void
}

export interface SSEResponse extends ResponseSink {
  /** Whether the framework must be kept waiting until the response is over. */
  readonly holdsRequest: boolean
  /** What the handler must return once the response has begun. */
  readonly answer: unknown
}
