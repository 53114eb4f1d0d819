import type { StreamPosition } from '../../shared/position'
import { parsePosition } from '../../shared/position'
import { isWhole, parseWhole } from '../../shared/whole-position'
import { DEFAULT_OLDER_MESSAGES, encodePage, readOlder } from '../channel/older'
import type { OlderPage } from '../channel/older'
import type { ChannelSource } from '../channel/several'
import { channelsOf } from '../channel/several'
import type { Connection } from '../connection/connection'
import type { OlderRequest } from '../http/request'
import { assertJson, invalidQuery } from '../http/request'
import { sendJson } from '../http/response'
import type { SSEResponse } from '../http/sink'
import type { Exchange } from './exchange'

/** Maximum `limit`. */
const MAX_MESSAGES = 1_000
const ID_FORM = 'the id of a message'

/**
 * Responds to a request for older messages (`?before=`) with a page. It never waits. Without a `source` there is no run to which the
 * position belongs.
 */
export async function answerOlder({ event, options, context, request }: Exchange, source: ChannelSource | undefined, connection: Connection, response: SSEResponse): Promise<unknown> {
  connection.life.forgo()
  context.endAbandoned()
  const over = context.insight.onPoll()
  try {
    const older = request.older!
    assertJson(older.raw)
    if (older.position !== undefined) throw invalidQuery('before', 'without `position` beside it', older.before)
    const limit = readLimit(older.limit)
    const [key, name] = source ? channelFor(source, older) : []
    const before = readBefore(older, key)
    const page = name === undefined ? nothingBefore(before, older) : await readOlder(context.driver, name, before, limit)
    if (connection.life.isOver) return null
    if (page.gap && name !== undefined) context.insight.onGap(name, page.gap, 'poll')
    return sendJson(event, encodePage(page, key), options.headers)
  }
  finally {
    over()
    // Where the runtime does not report that the response was taken, the request is over when the response exists.
    if (!response.holdsRequest) connection.refuseToOpen()
  }
}

/** Position before which messages are requested. On one channel, no key is needed, and none hurts: the epoch names the log. */
export function readBefore({ before }: Pick<OlderRequest, 'before'>, key?: string): StreamPosition {
  const text = typeof before === 'string' ? before : ''
  const { text: own } = key !== undefined && isWhole(text) ? parseWhole(text, [key])[0]! : { text: text.slice(isWhole(text) ? text.indexOf(':') + 1 : 0) }
  const position = parsePosition(own ?? '')
  if (!position) throw invalidQuery('before', key === undefined ? ID_FORM : `${ID_FORM} of \`${key}\``, before)
  return position
}

function channelFor(source: ChannelSource, { channel }: OlderRequest): [key: string | undefined, name: string] {
  const channels = channelsOf(source)
  const found = channels.find(([key]) => key === undefined || key === channel)
  if (!found) throw invalidQuery('channel', `one of ${channels.map(([key]) => `\`${key}\``).join(', ')}`, channel)
  return [found[0], found[1].name]
}

function readLimit(limit: unknown): number {
  if (limit === undefined) return DEFAULT_OLDER_MESSAGES
  const count = typeof limit === 'string' && /^\d{1,4}$/.test(limit) ? Number(limit) : 0
  if (count < 1 || count > MAX_MESSAGES) throw invalidQuery('limit', `a whole number from 1 to ${MAX_MESSAGES}`, limit)
  return count
}

function nothingBefore({ epoch }: StreamPosition, { before }: OlderRequest): OlderPage {
  return { epoch, entries: [], hasOlder: false, gap: { reason: 'epoch', missed: null, position: String(before) } }
}
