import type { PositionRequest } from '../../shared/position'
import type { SSEGap } from '../../shared/protocol'
import { SSEError } from '../../shared/errors'
import { whenAborted } from '../lib/abort'
import type { SSEContext } from '../context/context'
import type { Channel } from '../channel/channel'
import { spread } from '../lib/jitter'
import type { ResolvedHandlerOptions } from '../options'
import { parsePosition } from '../../shared/position'
import type { ChannelPage } from '../channel/read'
import { encodeBatch, readPage } from '../channel/read'

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

/** One answer of the poll transport, as {@link encodeBatch} has it, and the gap in it. */
export interface PollAnswer {
  json: string
  gap: SSEGap | null
}

/** One answer of the poll transport: what follows the position, or, if nothing does yet, what comes within the wait. */
export async function pollChannel({ driver, hub, closing }: SSEContext, channel: Channel, options: ResolvedHandlerOptions, { position, from, waitMs, signal }: PollRequest): Promise<PollAnswer> {
  const wait = Math.min(waitMs ?? options.pollWaitMs, options.pollWaitMs)
  const first = await readPage(driver, channel.name, position, from, BATCH_MESSAGES)
  if (wait === 0 || first.entries.length || first.ended || first.gap || signal.aborted) return answer(first, options)

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
  if (signal.aborted || closing.aborted) return answer(first, options)
  return answer(await readPage(driver, channel.name, here, 'now', BATCH_MESSAGES), options)
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

function answer(page: ChannelPage, { pollWaitMs, retryMs }: ResolvedHandlerOptions): PollAnswer {
  // A server that does not wait must make the client wait, or it would ask again at once, for ever.
  const pollMs = pollWaitMs === 0 && page.entries.length < BATCH_MESSAGES ? Math.round(spread(retryMs)) : 0
  return { json: encodeBatch(page, pollMs), gap: page.gap }
}
