import { formatPosition, parsePosition } from '../../shared/position'
import type { SSEBatch } from '../../shared/protocol'
import { formatWhole } from '../../shared/whole-position'
import { unpackData } from '../drivers/packed-data'
import type { LogDriver, LogEntry } from '../drivers/types'
import type { ReadStart } from '../hub/hub'
import { NO_OFFSET } from '../hub/run'
import { BEFORE_SNAPSHOT, positionOfSnapshot } from '../hub/snapshot-reader'
import type { Snapshot } from '../hub/snapshot-reader'
import type { ChannelPage } from './read'
import { READ_BYTES, readPage } from './read'

/** Maximum messages of a batch; the next poll receives more at once. */
export const BATCH_MESSAGES = 1_000

/** Page of one channel among several. */
export interface KeyedPage {
  key: string
  page: ChannelPage
}

/**
 * Reads a page of each channel. Together they are bounded as the page of one channel is. Each channel has its share, and those that need
 * more take the rest. Their order is random: a poll has no memory of the last one, and no channel may always be the last.
 */
export async function readPages(driver: LogDriver, starts: readonly ReadStart[]): Promise<ChannelPage[]> {
  const pages = await readLogs(driver, starts)
  return Promise.all(pages.map(async (page, index) => {
    const { request, snapshot } = starts[index]!
    const resumes = !page.gap && typeof request === 'object' && 'offset' in request
    return snapshot && !resumes ? pageOfSnapshot(await snapshot(), page) : page
  }))
}

/**
 * A state in place of older messages. It is not cut: the position of a part would lead to nothing. So no message has an ID: with the last
 * one's, a client could only guess the position before it.
 */
function pageOfSnapshot({ epoch, offset, runs }: Snapshot, { gap }: ChannelPage): ChannelPage {
  return { epoch, entries: runs.flatMap(({ entries }) => entries.map(entry => ({ ...entry, offset: NO_OFFSET }))), position: positionOfSnapshot({ epoch, offset }), ended: false, gap: gap && { ...gap, position: BEFORE_SNAPSHOT } }
}

async function readLogs(driver: LogDriver, starts: readonly ReadStart[]): Promise<ChannelPage[]> {
  const share = { messages: Math.floor(BATCH_MESSAGES / starts.length), bytes: Math.floor(READ_BYTES / starts.length) }
  const pages = await Promise.all(starts.map(({ name, request, from }) => readPage(driver, name, request, from, share.messages, share.bytes)))
  if (pages.length === 1) return pages
  const first = Math.floor(Math.random() * pages.length)
  const order = pages.map((_, index) => (first + index) % pages.length)
  const left = { messages: BATCH_MESSAGES, bytes: READ_BYTES }
  const behind = order.filter((index) => {
    const page = pages[index]!
    const isFull = !page.ended && isBeyond(page.entries, share)
    pages[index] = take(page, left)
    return isFull && pages[index] === page
  })
  for (const index of behind) {
    if (left.messages <= 0 || left.bytes <= 0) break
    const page = pages[index]!
    const more = await readPage(driver, starts[index]!.name, { kind: 'at', ...parsePosition(page.position)! }, 'start', left.messages, left.bytes)
    // A gap here belongs in the next batch, whose request it answers.
    if (more.gap) continue
    const taken = take(more, left)
    pages[index] = { ...taken, entries: [...page.entries, ...taken.entries], gap: page.gap }
  }
  return pages
}

/**
 * Encodes an {@link SSEBatch} as JSON. The data is JSON in the log and is inserted unchanged: to parse and print it again would be most of
 * the cost of a poll.
 */
export function encodeBatch({ epoch, entries, ...rest }: ChannelPage, pollMs: SSEBatch['pollMs']): string {
  return `{"type":"batch","messages":[${encodeMessages(epoch, entries)}],${JSON.stringify({ ...rest, pollMs }).slice(1)}`
}

/**
 * Encodes the batch of several channels. `isOfOne`: the request has the position of one channel. The route had one before, and a client that
 * knows only one finds its gap at the top.
 */
export function encodeKeyedBatch(pages: readonly KeyedPage[], pollMs: SSEBatch['pollMs'], isOfOne = false): string {
  const messages = pages.filter(({ page }) => page.entries.length).map(({ key, page }) => encodeMessages(page.epoch, page.entries, key))
  const rest = {
    position: formatWhole(pages.map(({ key, page }) => [key, page.position])),
    ended: pages.every(({ page }) => page.ended),
    gap: isOfOne ? { reason: 'invalid', missed: null, position: formatWhole(pages.map(({ key, page }) => [key, page.gap!.position])) } : null,
    channels: Object.fromEntries(pages.map(({ key, page: { position, ended, gap, error } }) => [key, { position, ended, gap, error }])),
    pollMs,
  }
  return `{"type":"batch","messages":[${messages.join()}],${JSON.stringify(rest).slice(1)}`
}

/** Messages as elements of a JSON array, with the key of their channel among several. */
export function encodeMessages(epoch: string, entries: readonly LogEntry[], key?: string): string {
  const channel = key === undefined ? '' : `"channel":${JSON.stringify(key)},`
  const before = key === undefined ? '' : `${key}:`
  return entries.map(({ offset, event, data }) =>
    `{${channel}${offset === NO_OFFSET ? '' : `"id":${JSON.stringify(before + formatPosition(epoch, offset))},`}${event === undefined ? '' : `"event":${JSON.stringify(event)},`}"data":${unpackData(data)}}`).join()
}

function isBeyond(entries: readonly LogEntry[], limit: { messages: number, bytes: number }): boolean {
  return entries.length >= limit.messages || entries.reduce((sum, { data }) => sum + data.length, 0) >= limit.bytes
}

/** Takes a page's messages off what is left, and cuts the page where nothing is. */
function take(page: ChannelPage, left: { messages: number, bytes: number }): ChannelPage {
  const { entries, epoch } = page
  let count = 0
  for (; count < entries.length && left.messages > 0 && left.bytes > 0; count++) {
    left.messages--
    left.bytes -= entries[count]!.data.length
  }
  if (count === entries.length) return page
  const { error: _, ...rest } = page
  return { ...rest, entries: entries.slice(0, count), position: formatPosition(epoch, entries[count]!.offset - 1), ended: false }
}
