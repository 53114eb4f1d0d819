import { POSITION_FORMS, formatPosition, parsePositionRequest } from '../../shared/position'
import type { PositionRequest } from '../../shared/position'
import { SSEError, printValue } from '../../shared/errors'
import { childController } from '../../shared/abort'
import type { SSEGap } from '../../shared/protocol'
import type { SSEMessage } from '../../shared/types'
import { whenAborted } from '../lib/abort'
import type { ChannelContext } from '../context/channel-context'
import type { SSEReadResult, SSESubscribeOptions } from './types'
import { unpackData } from '../drivers/packed-data'
import type { LogDriver, LogEntry, LogPage } from '../drivers/types'
import type { ChannelReader } from '../hub/channel-reader'
import { Pull } from '../hub/pull'
import { probableOffset, resolveStart } from '../hub/replay-start'
import type { ReplayStart } from '../hub/replay-start'

const DEFAULT_READ_MESSAGES = 1_000
/** Maximum bytes of a batch. It is held in memory as a whole, and so is the answer made of it. */
export const READ_BYTES = 1_048_576

/**
 * Maximum number of reads for one page; after them the answer is an empty page. A log whose epoch changed before each read will change it
 * again.
 */
const MAX_READS = 3

/** {@link SSEReadResult} with the messages as in the log: JSON that is not parsed. */
export interface ChannelPage extends Omit<SSEReadResult<unknown>, 'messages'> {
  epoch: string
  entries: readonly LogEntry[]
}

/** Reads one page after a position, without waiting and without a subscription. */
export async function readChannel<T>(...args: Parameters<typeof readPage>): Promise<SSEReadResult<T>> {
  const { epoch, entries, ...rest } = await readPage(...args)
  return { messages: entries.map(entry => toMessage<T>(epoch, entry)), ...rest }
}

export async function readPage(driver: LogDriver, name: string, request: PositionRequest | 'malformed' | undefined, from: 'start' | 'now', limit = DEFAULT_READ_MESSAGES, bytes = READ_BYTES): Promise<ChannelPage> {
  let after = probableOffset(request, from)
  let page: LogPage
  let start: ReplayStart
  let entries: LogEntry[] | undefined
  for (let reads = 1; ; reads++) {
    page = await driver.read(name, after, { messages: limit, bytes })
    // The same page determines the start and the messages: between two reads, the log may have changed.
    start = resolveStart(request, from, page)
    entries = entriesFrom(page, after, start.offset)
    if (entries || reads === MAX_READS) break
    after = start.offset
  }
  const last = entries?.at(-1)?.offset ?? start.offset
  const ended = page.closing !== null && last >= page.last
  return {
    epoch: page.epoch,
    entries: entries ?? [],
    position: formatPosition(page.epoch, last),
    ended,
    gap: start.gap,
    ...ended && page.closing?.error && { error: page.closing.error },
  }
}

/** Entries of a page after `offset`; `undefined` if the page, which was read after `after`, begins later or ends before. */
function entriesFrom({ entries, first, last }: LogPage, after: number, offset: number): LogEntry[] | undefined {
  if (offset >= last) return []
  if (offset < Math.max(after, first - 1)) return undefined
  const begin = entries.findIndex(entry => entry.offset > offset)
  return begin < 0 ? undefined : entries.slice(begin)
}

/** Pulls a reader as an async iteration. The reader is created when the iteration begins, and released when it ends. */
export function subscribeChannel<T>(open: () => Promise<ChannelReader>, context: Pick<ChannelContext, 'closing' | 'report'>, { signal, onGap }: Pick<SSESubscribeOptions, 'signal' | 'onGap'>): AsyncIterable<SSEMessage<T>> {
  return {
    [Symbol.asyncIterator]() {
      const left = childController(signal)
      const messages = pull<T>(open, context, left, onGap)
      return {
        next: () => messages.next(),
        return: () => {
          // A generator that waits for messages would handle its return() only with the next one.
          left.abort()
          return messages.return()
        },
      }
    },
  }
}

async function* pull<T>(open: () => Promise<ChannelReader>, { closing, report }: Pick<ChannelContext, 'closing' | 'report'>, left: AbortController, onGap?: (gap: SSEGap) => void): AsyncGenerator<SSEMessage<T>, void> {
  const { signal } = left
  let pulled: Pull | undefined
  const stop = () => pulled?.close()
  signal.addEventListener('abort', stop)
  const release = whenAborted(closing, stop)
  try {
    if (signal.aborted) return
    const reader = await open()
    pulled = new Pull(reader)
    if (signal.aborted || closing.aborted) stop()
    for (let step = await pulled.next(); step; step = await pulled.next()) {
      switch (step.type) {
        case 'messages':
          for (const entry of step.run.entries) {
            if (signal.aborted) return
            yield toMessage<T>(step.run.epoch, entry)
          }
          break
        case 'gap':
          if (!onGap) throw gapError(step.gap)
          onGap(step.gap)
          break
        case 'unreachable':
          report(step.error, 'driver')
          break
        case 'error':
          throw new SSEError(step.error.code, step.error.message, step.error)
        case 'end':
          return
      }
    }
    // A normal end would mean that the channel is complete.
    if (!signal.aborted) throw new SSEError('SHUTTING_DOWN', `The server is shutting down. Subscribe again after \`${reader.position}\`.`, { statusCode: 503 })
  }
  finally {
    stop()
    release()
    // A channel that ends, or fails, ends the iteration without a return(): the listener on the caller's signal must be removed here.
    left.abort()
  }
}

export function toMessage<T>(epoch: string, { offset, event, data }: LogEntry): SSEMessage<T> {
  return { id: formatPosition(epoch, offset), ...event !== undefined && { event }, data: JSON.parse(unpackData(data)) as T }
}

function gapError(gap: SSEGap): SSEError {
  return new SSEError('GAP', `Missed ${gap.missed ?? 'an unknown number of'} messages (${gap.reason}). Subscribe again after \`${gap.position}\`, or pass \`onGap\`.`, { statusCode: 410, details: { gap } })
}

/** Parses the option `after`. Throws `INVALID_POSITION` (400). */
export function parseAfter(after: string | number): PositionRequest {
  const request = parsePositionRequest(String(after))
  // A negative number is more likely a mistake in a count than the text that a client may send.
  if (request && !(typeof after === 'number' && after < 0)) return request
  throw new SSEError('INVALID_POSITION', `Expected \`after\` to be ${POSITION_FORMS}, got ${printValue(after)}.`, { statusCode: 400 })
}
