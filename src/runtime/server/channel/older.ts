import { SSEError } from '../../shared/errors'
import type { StreamPosition } from '../../shared/position'
import { formatPosition } from '../../shared/position'
import type { SSEGap, SSEPage } from '../../shared/protocol'
import { publicChannelName, withoutSecret } from '../../shared/secret-epoch'
import type { LogDriver, LogEntry } from '../drivers/types'
import { encodeMessages } from './batch'
import { READ_BYTES } from './read'

/** Maximum number of reads for one page. Halving the largest `limit` takes 11. */
const MAX_READS = 20
export const DEFAULT_OLDER_MESSAGES = 50

/** Messages right before a position, the oldest first. */
export interface OlderPage {
  epoch: string
  entries: readonly LogEntry[]
  /** Whether the log keeps messages before `entries`. */
  hasOlder: boolean
  /** Set if the position belongs to another epoch; then there are no entries. */
  gap: SSEGap | null
}

/**
 * Reads the messages right before a position, at most `limit` of them, and as many bytes as a batch has. A log is only read forwards. If
 * the bytes end a read before it reaches the position, fewer messages are read.
 */
export async function readOlder(driver: LogDriver, name: string, before: StreamPosition, limit: number): Promise<OlderPage> {
  let end = before.offset
  let count = limit
  for (let reads = 0; reads < MAX_READS; reads++) {
    const page = await driver.read(name, Math.max(0, end - 1 - count), { messages: count, bytes: READ_BYTES })
    const { epoch, first, last } = page
    if (epoch !== before.epoch) return { epoch, entries: [], hasOlder: false, gap: { reason: 'epoch', missed: null, position: formatPosition(epoch, first - 1) } }
    // Beyond the end counts as the end.
    if (end > last + 1) {
      end = last + 1
      continue
    }
    const entries = page.entries.filter(({ offset }) => offset < end)
    if (first >= end || entries.at(-1)?.offset === end - 1) return { epoch, entries, hasOlder: entries.length > 0 && entries[0]!.offset > first, gap: null }
    count = Math.max(1, Math.min(entries.length, Math.ceil(count / 2)))
  }
  throw new SSEError('DRIVER_UNAVAILABLE', `Channel \`${publicChannelName(name)}\`: the log has nothing before ${withoutSecret(formatPosition(before.epoch, end))}, although it reports older messages.`, { statusCode: 503 })
}

/** Encodes an {@link SSEPage} as JSON, with the messages as in a batch. */
export function encodePage({ epoch, entries, hasOlder, gap }: OlderPage, key?: string): string {
  const rest: Omit<SSEPage, 'type' | 'messages'> = { hasOlder, ...gap && { gap } }
  return `{"type":"page","messages":[${encodeMessages(epoch, entries, key)}],${JSON.stringify(rest).slice(1)}`
}
