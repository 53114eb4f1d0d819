import type { PositionRequest } from '../../shared/position'
import type { SSEGap } from '../../shared/protocol'
import { follow } from '../../shared/abort'
import { SSEError } from '../../shared/errors'
import { whenAborted } from '../lib/abort'
import type { SSEContext } from '../context/context'
import type { Channel } from '../channel/channel'
import type { Connection } from '../connection/connection'
import { sendJson } from '../http/response'
import type { SSEResponse } from '../http/sink'
import type { Exchange } from './exchange'
import { startOnChannel } from './position'
import { RunChannel } from './resumable'
import { spread } from '../lib/delays'
import type { ResolvedHandlerOptions } from '../options'
import { parsePosition } from '../../shared/position'
import type { ChannelPage } from '../channel/read'
import { encodeBatch, readPage } from '../channel/read'
import type { ChannelReader, ReaderStep } from '../hub/channel-reader'
import { Pull } from '../hub/pull'

/** Maximum messages per read of the log; the next poll receives more at once. */
const BATCH_MESSAGES = 1_000

export interface PollRequest {
  position: PositionRequest | 'malformed' | undefined
  /** Start of a client without a position. */
  from: 'start' | 'now'
  /** Wait for messages, in milliseconds; capped by `pollWaitMs`, which is also the default. */
  waitMs: number | undefined
  /** Aborted when the client leaves, or must not wait any longer. */
  signal: AbortSignal
}

/** Response of the poll transport, as {@link encodeBatch} encodes it, and the gap in it. */
export interface PollAnswer {
  json: string
  gap: SSEGap | null
}

/** Responds to a poll of a channel. `connection` never opens; it only reports when the client leaves. */
export async function answerPoll({ event, options, context, request, keyed }: Exchange, channel: Channel, connection: Connection, response: SSEResponse): Promise<unknown> {
  connection.life.forgo()
  context.endAbandoned()
  const over = context.insight.onPoll()
  const gone = channel instanceof RunChannel ? channel.attend() : undefined
  try {
    const stop = keyed && follow(connection.signal)
    if (keyed) keyed.onDisconnect = () => stop!.abort()
    if (keyed?.isEnding) stop!.abort()
    const poll = { ...startOnChannel(channel, request, options), waitMs: request.waitMs, signal: (stop ?? connection).signal }
    const { json, gap } = await pollChannel(context, channel, options, poll).finally(gone)
    keyed?.assertConnected()
    if (connection.life.isOver) return null
    if (gap) context.insight.onGap(channel.name, gap, 'poll')
    // Where the runtime does not report that the response was taken, the poll is over when the response exists. Not where it fails: an
    // error on a connection that is over would count as unseen.
    if (!response.holdsRequest) connection.refuseToOpen()
    return sendJson(event, json, options.headers)
  }
  finally {
    over()
  }
}

/** Response of the poll transport: the messages after the position, or, if there are none yet, the messages that arrive within the wait. */
export async function pollChannel({ driver, hub, closing }: SSEContext, channel: Channel, options: ResolvedHandlerOptions, { position, from, waitMs, signal }: PollRequest): Promise<PollAnswer> {
  const wait = Math.min(waitMs ?? options.pollWaitMs, options.pollWaitMs)
  const first = await readPage(driver, channel.name, position, from, BATCH_MESSAGES)
  if (wait === 0 || first.entries.length || first.ended || first.gap || signal.aborted) return answer(first, options)

  const here: PositionRequest = { kind: 'at', ...parsePosition(first.position)! }
  // The reader begins where the page ended, so that messages published in between are not missed.
  const reader = await hub.reader(channel.name, here, 'now')
  const step = await stepWithin(wait, reader, signal, closing)
  if (step?.type === 'unreachable') throw step.error
  return answer(step ? pageOf(step, reader) : first, options)
}

/** Error for a source that cannot be polled, because its messages are not kept. */
export function notPollable(): SSEError {
  return new SSEError('NOT_POLLABLE', 'This route cannot be polled: it streams a source that is not kept. Return a channel (useSSEChannel) to make it resumable and pollable, set `resumable: true` for a generator, or ask for `text/event-stream`.', { statusCode: 406 })
}

/** The reader's next step, or `undefined` when the time is up, the client has left, or the server shuts down. Closes the reader. */
async function stepWithin(waitMs: number, reader: ChannelReader, left: AbortSignal, closing: AbortSignal): Promise<ReaderStep | undefined> {
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

function answer(page: ChannelPage, { pollWaitMs, retryMs }: ResolvedHandlerOptions): PollAnswer {
  // If the server does not wait, the client must: otherwise it would poll again at once, forever.
  const pollMs = pollWaitMs === 0 && page.entries.length < BATCH_MESSAGES ? Math.round(spread(retryMs)) : 0
  return { json: encodeBatch(page, pollMs), gap: page.gap }
}
