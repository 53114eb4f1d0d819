import type { Connection } from './connection'
import type { ChannelReader, ReaderStep } from './channel-reader'

/** How long a reader waits before it asks a driver again that could not be reached. */
const RETRY_MS = 500

/**
 * Streams a channel: what the reader has next is written while the socket takes it. A reader whose socket is full keeps
 * its position and nothing else; it goes on from there when the socket drains.
 */
export function streamChannel(connection: Connection, reader: ChannelReader, report: (error: unknown) => void): void {
  let busy = false
  let failing = false
  let retry: ReturnType<typeof setTimeout> | undefined

  function pump(): void {
    while (!busy && connection.hasRoom) {
      const step = reader.step()
      if (!step) return
      if (step instanceof Promise) return ask(step)
      send(step)
    }
  }

  function ask(step: Promise<ReaderStep | undefined>): void {
    busy = true
    step.then((next) => {
      busy = failing = false
      if (connection.closed) return
      if (next) send(next)
      pump()
    }, (error) => {
      if (connection.closed) return
      // Once for all attempts: a driver that is away for an hour would fill the log.
      if (!failing) report(error)
      failing = true
      // Open connections stay open while the driver is away; the position has not moved.
      retry = setTimeout(() => {
        busy = false
        pump()
      }, RETRY_MS)
    })
  }

  function send(step: ReaderStep): void {
    switch (step.type) {
      case 'messages': return connection.writeShared(step.run.bytes)
      case 'gap': return connection.control({ type: 'gap', ...step.gap }, step.gap.position)
      case 'error': return connection.fail(step.error)
      case 'end': return void connection.close()
    }
  }

  reader.wake = pump
  connection.onRoom = pump
  connection.onClosed(() => {
    clearTimeout(retry)
    reader.close()
  })
  pump()
}
