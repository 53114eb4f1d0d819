import type { Connection, ConnectionContext } from '../connection/connection'
import { publicError } from '../wire/public-error'
import type { ChannelReader, ReaderStep } from '../hub/channel-reader'

/**
 * Streams a channel: what the reader has next is written while the socket takes it. A reader whose socket is full keeps
 * its position and nothing else; it goes on from there when the socket drains.
 */
export function streamChannel(connection: Connection, reader: ChannelReader, context: Pick<ConnectionContext, 'insight' | 'report'>): void {
  const stream = new ChannelStream(connection, reader, context)
  connection.whenClosed(stream.close)
  connection.onRoom = stream.pump
  reader.wake = connection.callable(stream.pump)
  stream.pump()
}

/** A class and not a handful of closures: there is one for each reader. */
class ChannelStream {
  #busy = false

  constructor(
    private readonly connection: Connection,
    private readonly reader: ChannelReader,
    private readonly context: Pick<ConnectionContext, 'insight' | 'report'>,
  ) {}

  /** Never throws: the readers of a channel are woken one after the other. */
  readonly pump = (): void => {
    try {
      while (!this.#busy && this.connection.hasRoom) {
        const step = this.reader.step()
        if (!step) return
        if (step instanceof Promise) return this.#ask(step)
        this.#send(step)
      }
    }
    catch (error) {
      this.connection.run(() => this.context.report(error, 'driver'))
      this.connection.fail(publicError(error))
    }
  }

  readonly close = (): void => this.reader.close()

  #ask(step: Promise<ReaderStep | undefined>): void {
    this.#busy = true
    void step.then((next) => {
      this.#busy = false
      if (this.connection.closed) return
      if (next) this.#send(next)
      this.pump()
    })
  }

  #send(step: ReaderStep): void {
    const { connection } = this
    switch (step.type) {
      case 'messages': return connection.writeShared(step.run.bytes, step.run.entries.length)
      case 'gap':
        connection.control({ type: 'gap', ...step.gap }, step.gap.position)
        return connection.run(() => this.context.insight.onGap(this.reader.name, step.gap, 'stream'))
      case 'unreachable': return connection.run(() => this.context.report(step.error, 'driver'))
      case 'error': return connection.fail(step.error)
      case 'end': return void connection.close()
    }
  }
}
