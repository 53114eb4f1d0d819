import type { PositionRequest } from '../../shared/position'
import type { SSEBatch } from '../../shared/protocol'
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
import { spread } from '../lib/jitter'
import type { ResolvedHandlerOptions } from '../options'
import { parsePosition } from '../../shared/position'
import { readChannel } from '../channel/read'

/** The most messages in one answer; the next poll gets more at once. */
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

/** Answers a poll of a channel, which a connection that never opens stands for: it says when the client leaves. */
export async function answerPoll({ event, options, context, request }: Exchange, channel: Channel, connection: Connection, response: SSEResponse): Promise<unknown> {
  connection.life.forgo()
  context.endAbandoned?.()
  const over = context.insight.onPoll()
  const gone = channel instanceof RunChannel ? channel.attend() : undefined
  try {
    const poll = { ...startOnChannel(channel, request, options), waitMs: request.waitMs, signal: connection.signal }
    const batch = await pollChannel(context, channel, options, poll).finally(gone)
    if (connection.life.isOver) return null
    if (batch.gap) context.insight.onGap(channel.name, batch.gap, 'poll')
    return sendJson(event, batch, options.headers)
  }
  finally {
    over()
    // Where nothing says when the answer was taken, it is over when there is one.
    if (!response.holdsRequest) connection.refuseToOpen()
  }
}

/** One answer of the poll transport: what follows the position, or, if nothing does yet, what comes within the wait. */
export async function pollChannel({ driver, hub, closing }: SSEContext, channel: Channel, options: ResolvedHandlerOptions, { position, from, waitMs, signal }: PollRequest): Promise<SSEBatch> {
  const wait = Math.min(waitMs ?? options.pollWaitMs, options.pollWaitMs)
  const first = await readChannel(driver, channel.name, position, from, BATCH_MESSAGES)
  if (wait === 0 || first.messages.length || first.ended || first.gap || signal.aborted) return toBatch(first, options)

  const here: PositionRequest = { kind: 'at', ...parsePosition(first.position)! }
  // The reader begins where the page ended, so that what came in between is not missed.
  const reader = await hub.reader(channel.name, here, 'now')
  try {
    await news(reader, wait, signal, closing)
  }
  finally {
    reader.close()
  }
  // Nobody takes the answer; or the driver closes with the process: a memory driver, for one, would find an empty channel now.
  if (signal.aborted || closing.aborted) return toBatch(first, options)
  return toBatch(await readChannel(driver, channel.name, here, 'now', BATCH_MESSAGES), options)
}

/** The error for a source that cannot be polled, since what it sends is kept nowhere. */
export function notPollable(): SSEError {
  return new SSEError('NOT_POLLABLE', 'This route cannot be polled: it streams a source that is not kept. Return a channel (useSSEChannel) to make it resumable and pollable, set `resumable: true` for a generator, or ask for `text/event-stream`.', { statusCode: 406 })
}

/** Resolves when the reader has something, the time is up, the client has left, or the server shuts down. */
async function news(reader: { offset: number, wake: () => void, hasNews: boolean }, waitMs: number, left: AbortSignal, closing: AbortSignal): Promise<void> {
  if (reader.hasNews || left.aborted || closing.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, waitMs)
  const done = () => resolve()
  left.addEventListener('abort', done)
  const release = whenAborted(closing, done)
  reader.wake = () => {
    if (reader.hasNews) resolve()
  }
  await promise
  // Here and not where it was resolved: that may be another request, which has no say in the timers of this one.
  clearTimeout(timer)
  left.removeEventListener('abort', done)
  release()
}

function toBatch(result: Awaited<ReturnType<typeof readChannel>>, { pollWaitMs, retryMs }: ResolvedHandlerOptions): SSEBatch {
  // A server that does not wait must make the client wait, or it would ask again at once, for ever.
  const pollMs = pollWaitMs === 0 && result.messages.length < BATCH_MESSAGES ? Math.round(spread(retryMs)) : 0
  return { type: 'batch', ...result, pollMs }
}
