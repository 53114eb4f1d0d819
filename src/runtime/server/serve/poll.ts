import type { PositionRequest } from '../../shared/position'
import type { SSEGap } from '../../shared/protocol'
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

/** The most messages that one read of the log answers with; the next poll gets more at once. */
const BATCH_MESSAGES = 1_000

export interface PollRequest {
  position: PositionRequest | 'malformed' | undefined
  /** Where a newcomer begins. */
  from: 'start' | 'now'
  /** How long to wait for news; capped by `pollWaitMs`, which is also the default. */
  waitMs: number | undefined
  /** Aborted when the client leaves. */
  signal: AbortSignal
}

/** One answer of the poll transport, as {@link encodeBatch} has it, and the gap in it. */
export interface PollAnswer {
  json: string
  gap: SSEGap | null
}

/** Answers a poll of a channel, which a connection that never opens stands for: it says when the client leaves. */
export async function answerPoll({ event, options, context, request }: Exchange, channel: Channel, connection: Connection, response: SSEResponse): Promise<unknown> {
  connection.life.forgo()
  context.endAbandoned()
  const over = context.insight.onPoll()
  const gone = channel instanceof RunChannel ? channel.attend() : undefined
  try {
    const poll = { ...startOnChannel(channel, request, options), waitMs: request.waitMs, signal: connection.signal }
    const { json, gap } = await pollChannel(context, channel, options, poll).finally(gone)
    if (connection.life.isOver) return null
    if (gap) context.insight.onGap(channel.name, gap, 'poll')
    return sendJson(event, json, options.headers)
  }
  finally {
    over()
    // Where nothing says when the answer was taken, it is over when there is one.
    if (!response.holdsRequest) connection.refuseToOpen()
  }
}

/** One answer of the poll transport: what follows the position, or, if nothing does yet, what comes within the wait. */
export async function pollChannel({ driver, hub, closing }: SSEContext, channel: Channel, options: ResolvedHandlerOptions, { position, from, waitMs, signal }: PollRequest): Promise<PollAnswer> {
  const wait = Math.min(waitMs ?? options.pollWaitMs, options.pollWaitMs)
  const first = await readPage(driver, channel.name, position, from, BATCH_MESSAGES)
  if (wait === 0 || first.entries.length || first.ended || first.gap || signal.aborted) return answer(first, options)

  const here: PositionRequest = { kind: 'at', ...parsePosition(first.position)! }
  // The reader begins where the page ended, so that what came in between is not missed.
  const reader = await hub.reader(channel.name, here, 'now')
  const step = await stepWithin(wait, reader, signal, closing)
  if (step?.type === 'unreachable') throw step.error
  return answer(step ? pageOf(step, reader) : first, options)
}

/** The error for a source that cannot be polled, since what it sends is kept nowhere. */
export function notPollable(): SSEError {
  return new SSEError('NOT_POLLABLE', 'This route cannot be polled: it streams a source that is not kept. Return a channel (useSSEChannel) to make it resumable and pollable, set `resumable: true` for a generator, or ask for `text/event-stream`.', { statusCode: 406 })
}

/** The reader's next step, or nothing when the time is up, the client has left, or the server shuts down. Closes the reader. */
async function stepWithin(waitMs: number, reader: ChannelReader, left: AbortSignal, closing: AbortSignal): Promise<ReaderStep | undefined> {
  const pull = new Pull(reader)
  const stop = () => pull.close()
  if (left.aborted || closing.aborted) stop()
  const timer = setTimeout(stop, waitMs)
  left.addEventListener('abort', stop)
  const release = whenAborted(closing, stop)
  const step = await pull.next()
  // Here and not where the wait was ended: that may be another request, which has no say in the timers of this one.
  clearTimeout(timer)
  left.removeEventListener('abort', stop)
  release()
  stop()
  return step
}

/** A step as a page. What follows it is for the next poll, which comes at once. */
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
  // A server that does not wait must make the client wait, or it would ask again at once, for ever.
  const pollMs = pollWaitMs === 0 && page.entries.length < BATCH_MESSAGES ? Math.round(spread(retryMs)) : 0
  return { json: encodeBatch(page, pollMs), gap: page.gap }
}
