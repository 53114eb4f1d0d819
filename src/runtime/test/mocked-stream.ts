import { encodeControl, encodeText } from '../server/wire/encode'
import type { MockedLog, MockedStart } from './mocked-log'

/** Open connection of a mock, or a request that waits for its answer. */
export interface MockedReader {
  /** Sends what is new. */
  flush(): void
  /** Breaks the connection. */
  break(reason: unknown): void
}

/** Body of a stream: what the log has from `begin` on, and what it receives later. Its reader is one of `readers` for as long as it is open. */
export function openMockedStream(log: MockedLog, begin: MockedStart, readers: Set<MockedReader>, signal: AbortSignal | undefined): ReadableStream<Uint8Array> {
  let { index } = begin
  let controller: ReadableStreamDefaultController<Uint8Array>
  const leave = () => reader.break(signal!.reason)
  const release = () => {
    readers.delete(reader)
    signal?.removeEventListener('abort', leave)
  }
  const reader: MockedReader = {
    flush() {
      const text = log.read(index) + (log.over ? encodeControl(log.over) : '')
      index = log.length
      if (text) controller.enqueue(encodeText(text))
      if (!log.over) return
      release()
      controller.close()
    },
    break(reason) {
      release()
      controller.error(reason)
    },
  }
  return new ReadableStream<Uint8Array>({
    start(own) {
      controller = own
      readers.add(reader)
      signal?.addEventListener('abort', leave)
      controller.enqueue(encodeText(log.open(begin)))
      reader.flush()
    },
    cancel: release,
  })
}
