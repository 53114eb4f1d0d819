import type { Connection } from '../connection/connection'
import type { ConnectionContext } from '../connection/context'
import type { Channel } from '../channel/channel'
import { sendNothing } from '../http/response'
import type { Exchange } from './exchange'
import { startOnChannel } from './position'
import { RunChannel } from './resumable'
import { encodeControl } from '../wire/encode'
import { publicError } from '../wire/public-error'
import type { ChannelReader, ReaderStep } from '../hub/channel-reader'

/** Opens the stream of a channel at the requested start. Resolves with the response body where there is nothing to stream. */
export async function startChannel({ event, context, request }: Exchange, channel: Channel, connection: Connection): Promise<unknown> {
  const { position: asked, from } = startOnChannel(channel, request, connection.options)
  const reader = await context.hub.reader(channel.name, asked, from)
  if (connection.closed) return reader.close()
  // Read to its end: 204 stops a browser's `EventSource`. A failed channel must still send its error.
  if (reader.complete && !reader.closing?.error) {
    reader.close()
    connection.refuseToOpen()
    return sendNothing(event)
  }
  // Until it has received its gap, a reader's position stays where the request began. If it is cut off before, it must request that
  // position and receive the gap again.
  const position = reader.gap ? (request.position?.parsed && request.position.text) ?? reader.position : reader.position
  connection.open({ position, resumed: reader.resumed, channel: channel.name })
  if (channel instanceof RunChannel) connection.life.whenClosed(channel.attach())
  streamChannel(connection, reader, context)
  return null
}

/**
 * Streams a channel: writes the reader's next messages while the socket takes them. A reader whose socket is full keeps only its position,
 * and resumes from it when the socket drains.
 */
function streamChannel(connection: Connection, reader: ChannelReader, context: Pick<ConnectionContext<Connection>, 'insight' | 'report'>): void {
  const stream = new ChannelStream(connection, reader, context)
  connection.life.whenClosed(stream.close)
  connection.onRoom = stream.pump
  reader.wake = connection.sink.callable(stream.pump)
  stream.pump()
}

/** A class, not closures, to save memory: there is one for each reader. */
class ChannelStream {
  #busy = false

  constructor(
    private readonly connection: Connection,
    private readonly reader: ChannelReader,
    private readonly context: Pick<ConnectionContext<Connection>, 'insight' | 'report'>,
  ) {}

  /** Never throws: the readers of a channel are woken one after the other, and an error would stop the loop. */
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
      case 'messages': return connection.writeNow(step.run.bytes, step.run.entries.length)
      case 'gap':
        connection.writeNow(encodeControl({ type: 'gap', ...step.gap }, step.gap.position))
        return connection.run(() => this.context.insight.onGap(this.reader.name, step.gap, 'stream'))
      case 'unreachable': return connection.run(() => this.context.report(step.error, 'driver'))
      case 'error': return connection.fail(step.error)
      case 'end': return void connection.close()
    }
  }
}
