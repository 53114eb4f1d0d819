import { SSEError } from '../../shared/errors'
import type { Connection } from '../connection/connection'
import type { ConnectionContext } from '../connection/context'
import type { ChannelSource } from '../channel/several'
import type { StartPosition } from '../connection/opening-block'
import type { RequestedPosition } from '../http/request'
import { sendNothing } from '../http/response'
import type { Exchange } from './exchange'
import { isKeyed, startsOn } from './position'
import { attend } from './attend'
import { RunChannel } from './resumable'
import { encodeControl } from '../wire/encode'
import { publicError } from '../wire/public-error'
import type { ChannelReader, Reader, ReaderStep } from '../hub/channel-reader'
import { ChannelsReader } from '../hub/channels-reader'
import type { KeyedStart, ReadStart } from '../hub/hub'

/** Opens the stream of a channel, or of several, at the requested start. Resolves with the response body where there is nothing to stream. */
export async function startChannels({ event, context, request }: Exchange, source: ChannelSource, connection: Connection): Promise<unknown> {
  const starts = startsOn(source, request, connection.options)
  const exit = await attend(source, { joins: true })
  if (exit) connection.life.whenClosed(() => exit(connection.life.returnMs))
  const reader = isKeyed(starts) ? await (request.ownIds ? context.hub.readers(starts, 'own') : context.hub.readers(inRequestedOrder(starts, request.position), 'whole')) : await context.hub.reader(starts[0].name, starts[0].request, starts[0].from, starts[0].snapshot)
  if (connection.closed) return reader.close()
  // Read to its end: 204 stops a browser's `EventSource`. A failed channel must still send its error.
  if (reader.exhausted) {
    reader.close()
    connection.refuseToOpen()
    return sendNothing(event)
  }
  connection.open(reader instanceof ChannelsReader ? startOfSeveral(reader, starts as KeyedStart[], request.position?.text) : startOfOne(reader, starts[0]!))
  if (source instanceof RunChannel) connection.life.whenClosed(source.attach())
  streamChannel(connection, reader, context)
  return null
}

/**
 * Channels in the order of the record, or in that of a position in the query which names all of them. A client that knows only one channel
 * compares the whole position as text. It takes the same one in another order for the answer of a cache, and repeats it in the query.
 */
function inRequestedOrder(starts: readonly KeyedStart[], position: RequestedPosition | undefined): readonly KeyedStart[] {
  if (position?.source !== 'query') return starts
  const keys = position.text.split(',').map(part => part.trimStart().split(':')[0])
  const named = new Set(keys.flatMap(key => starts.find(start => start.key === key) ?? []))
  return named.size === starts.length && keys.length === starts.length ? [...named] : starts
}

/**
 * Until it has received its gap, a reader's position stays where the request began. If it is cut off before, it must request that position
 * and receive the gap again.
 */
function startOfOne({ gap, position, resumed, name }: ChannelReader, { asked }: ReadStart): StartPosition {
  return { position: gap ? asked ?? position : position, resumed, channel: name }
}

/**
 * `resumed`: every channel continues, and the request named no other one. A client that knows only one channel compares the whole position
 * with the requested one, and refuses another as that of a cache.
 */
function startOfSeveral({ id, position, resumed, starts }: ChannelsReader, names: readonly KeyedStart[], asked = ''): StartPosition {
  return { id: id ?? null, position, resumed: resumed && asked.split(',').length === names.length, channels: starts, channel: Object.fromEntries(names.map(({ key, name }) => [key, name])) }
}

/**
 * Streams a channel, or several: writes the reader's next messages while the socket takes them. A reader whose socket is full keeps only its position,
 * and resumes from it when the socket drains.
 */
function streamChannel(connection: Connection, reader: Reader, context: Pick<ConnectionContext<Connection>, 'insight' | 'report'>): void {
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
    private readonly reader: Reader,
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

  /** One channel among several that is over does not end the stream. */
  #send(step: ReaderStep): void {
    const { connection, reader } = this
    const { key: channel } = reader
    switch (step.type) {
      case 'messages': return connection.writeNow(reader.encode(step.run), step.run.entries.length)
      case 'gap':
        connection.writeNow(encodeControl({ type: 'gap', channel, ...step.gap }, reader.id))
        return connection.run(() => this.context.insight.onGap(reader.current.name, step.gap, 'stream'))
      case 'unreachable':
        // A stream may open when its driver is closed already. It is no fault of the store, and a `leave` follows.
        if (!(step.error instanceof SSEError && step.error.code === 'SHUTTING_DOWN')) connection.run(() => this.context.report(step.error, 'driver'))
        return
      case 'error': return channel === undefined ? connection.fail(step.error) : connection.writeNow(encodeControl({ type: 'error', channel, ...step.error }))
      case 'end': return channel === undefined ? void connection.close() : connection.writeNow(encodeControl({ type: 'end', channel }))
    }
  }
}
