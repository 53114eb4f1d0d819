import { childController } from '../../shared/abort'
import { SSEError } from '../../shared/errors'
import { whenAborted } from '../lib/abort'
import type { SSEContext } from '../context/context'
import type { ChannelSource } from '../channel/several'
import type { Connection } from '../connection/connection'
import { sendJson } from '../http/response'
import type { SSEResponse } from '../http/sink'
import type { Exchange } from './exchange'
import type { Starts } from './position'
import { isKeyed, startsOn } from './position'
import { attend } from './attend'
import { RunChannel } from './resumable'
import { spread } from '../lib/delays'
import type { ResolvedHandlerOptions } from '../options'
import { parsePosition } from '../../shared/position'
import type { ChannelPage } from '../channel/read'
import { BATCH_MESSAGES, encodeBatch, encodeKeyedBatch, readPages } from '../channel/batch'
import type { ChannelReader, Reader, ReaderStep } from '../hub/channel-reader'
import type { KeyedStart } from '../hub/hub'
import { Pull } from '../hub/pull'

export interface PollRequest {
  starts: Starts
  /** Wait for messages, in milliseconds; capped by `pollWaitMs`, which is also the default. */
  waitMs: number | undefined
  /** Aborted when the client leaves, or must not wait any longer. */
  signal: AbortSignal
}

/** Response to a poll of a channel, or of several. `connection` never opens; it only reports when the client leaves. */
export async function answerPoll({ event, options, context, request, keyed }: Exchange, source: ChannelSource, connection: Connection, response: SSEResponse): Promise<unknown> {
  connection.life.forgo()
  context.endAbandoned()
  const over = context.insight.onPoll()
  const gone = source instanceof RunChannel ? source.attach() : undefined
  let exit: Awaited<ReturnType<typeof attend>>
  try {
    const stop = keyed && childController(connection.signal)
    if (keyed) keyed.onDisconnect = () => stop!.abort()
    if (keyed?.isEnding) stop!.abort()
    const starts = startsOn(source, request, options)
    exit = await attend(source, { joins: !request.isRender, stayMs: options.pollWaitMs })
    const pages = await poll(context, options, { starts, waitMs: request.waitMs, signal: (stop ?? connection).signal }).finally(gone)
    keyed?.assertConnected()
    if (connection.life.isOver) return null
    for (const [index, { gap }] of pages.entries()) if (gap) context.insight.onGap(starts[index]!.name, gap, 'poll')
    // Where the runtime does not report that the response was taken, the poll is over when the response exists. Not where it fails: an
    // error on a connection that is over would count as unseen.
    if (!response.holdsRequest) connection.refuseToOpen()
    return sendJson(event, encode(starts, pages, options, request.position?.parsed?.kind === 'at'), options.headers)
  }
  finally {
    over()
    exit?.(options.pollWaitMs)
  }
}

/** Pages of the channels, in their order: the messages after the position, or, if there are none yet, those that arrive within the wait. */
async function poll({ driver, hub, closing }: SSEContext, options: ResolvedHandlerOptions, { starts, waitMs, signal }: PollRequest): Promise<ChannelPage[]> {
  const wait = Math.min(waitMs ?? options.pollWaitMs, options.pollWaitMs)
  const pages = await readPages(driver, starts)
  if (wait === 0 || pages.some(({ entries, gap }) => entries.length || gap) || pages.every(({ ended }) => ended) || signal.aborted) return pages

  // A reader begins where its page ended, so that messages published in between are not missed. A channel that has ended has no more news.
  const waiting = starts.map((start, index) => ({ ...start, request: { kind: 'at' as const, ...parsePosition(pages[index]!.position)! } })).filter((_, index) => !pages[index]!.ended)
  const reader = isKeyed(starts) ? await hub.readers(waiting as KeyedStart[], 'own') : await hub.reader(waiting[0]!.name, waiting[0]!.request, 'now', waiting[0]!.snapshot)
  const step = await stepWithin(wait, reader, signal, closing)
  if (step?.type === 'unreachable') throw step.error
  if (step) pages[isKeyed(starts) ? starts.findIndex(({ key }) => key === reader.key) : 0] = pageOf(step, reader.current)
  return pages
}

/** Error for a source that cannot be polled, because its messages are not kept. */
export function notPollable(): SSEError {
  return new SSEError('NOT_POLLABLE', 'This route cannot be polled, because its messages are not stored. Return a channel (`useSSEChannel`), set `resumable: true` for a generator, or request `text/event-stream`.', { statusCode: 406 })
}

/** The reader's next step, or `undefined` when the time is up, the client has left, or the server shuts down. Closes the reader. */
async function stepWithin(waitMs: number, reader: Reader, left: AbortSignal, closing: AbortSignal): Promise<ReaderStep | undefined> {
  const pull = new Pull(reader)
  const stop = () => pull.close()
  if (left.aborted || closing.aborted) stop()
  const timer = setTimeout(stop, waitMs)
  left.addEventListener('abort', stop)
  const release = whenAborted(closing, stop)
  const step = await pull.next()
  // Cleared here, not where the wait was ended: that code may belong to another request, which must not touch this one's timers.
  clearTimeout(timer)
  left.removeEventListener('abort', stop)
  release()
  stop()
  return step
}

/** A step as a page. The next poll, which follows at once, receives the rest. */
function pageOf(step: ReaderStep, { epoch, position, complete, closing }: ChannelReader): ChannelPage {
  return {
    epoch,
    entries: step.type === 'messages' ? step.run.entries : [],
    position,
    ended: complete,
    gap: step.type === 'gap' ? step.gap : null,
    ...complete && closing?.error && { error: closing.error },
  }
}

function encode(starts: Starts, pages: ChannelPage[], { pollWaitMs, retryMs }: ResolvedHandlerOptions, isOfOne: boolean): string {
  const messages = pages.reduce((sum, { entries }) => sum + entries.length, 0)
  // If the server does not wait, the client must: otherwise it would poll again at once, forever.
  const pollMs = pollWaitMs === 0 && messages < BATCH_MESSAGES ? Math.round(spread(retryMs)) : 0
  return isKeyed(starts) ? encodeKeyedBatch(starts.map(({ key }, index) => ({ key, page: pages[index]! })), pollMs, isOfOne) : encodeBatch(pages[0]!, pollMs)
}
