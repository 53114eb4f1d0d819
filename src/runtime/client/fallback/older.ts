import { SSEError } from '../../shared/errors'
import type { SSEPage } from '../../shared/protocol'
import { POLL_CONTENT_TYPE } from '../../shared/protocol'
import type { SSEMessage } from '../../shared/types'
import type { History } from '../host'
import { createReader } from '../parser'
import { prepareRequest } from '../request'
import { clientError, retryableError } from '../response'
import { addQuery } from '../url'
import { createWatchdog } from '../watchdog'
import { dropUnknown, readJson } from './read-json'
import { readRefusal } from './read-refusal'

const DEFAULT_LIMIT = 50

/**
 * Messages right before the oldest that the call has had, the oldest first; empty at the beginning of the log. Calls run one after the
 * other, each from where the one before ended. Rejects with an `SSEError`; then the next call requests the same messages.
 */
export function loadOlder(history: History, limit?: unknown): Promise<SSEMessage[]> {
  const { past } = history
  // An event argument, as from `@click="loadOlder"`, is ignored.
  const next = (past.queue ?? Promise.resolve()).then(() => loadPage(history, past, typeof limit === 'number' ? limit : DEFAULT_LIMIT))
  past.queue = next.catch(() => {})
  return next
}

async function loadPage(history: History, past: History['past'], limit: number): Promise<SSEMessage[]> {
  const { options, state } = history
  await new Promise<void>((resolve) => {
    history.wake = () => {
      if (past !== history.past || !isPending(past, history)) resolve()
    }
    history.wake()
  })
  history.wake = undefined
  const { position, peer, channels } = state()
  assertSame(history, past)
  if (channels && options.channel === undefined) throw clientError('INVALID_OPTION', 'This route has several channels: pass the option `channel` to load older messages of one')
  const before = past.oldest ?? following(position)
  if (peer !== 'resumable' || !before) throw state().error ?? clientError('NOT_SUPPORTED', peer === 'resumable' || !peer ? 'Nothing was received yet, so no message is older' : 'This route does not store its messages')
  // A message that arrives meanwhile is not older.
  past.oldest = before
  const { messages, gap } = await request(history, before, limit)
  assertSame(history, past)
  if (gap) throw new SSEError('GAP', 'The older messages are lost', { statusCode: 410, details: { gap } })
  // Unless a gap came meanwhile, from which the next call counts.
  if (past.oldest === before && messages.length) past.oldest = messages[0]!.id
  return messages
}

/** Whether the call is about to get its position. */
function isPending({ oldest }: History['past'], { state }: History): boolean {
  const { status, position, peer } = state()
  return oldest === undefined && position === undefined && (status.endsWith('connecting') || (status === 'connected' && (!peer || peer === 'resumable')))
}

function assertSame(history: History, past: History['past']): void {
  if (past !== history.past) throw clientError('ABORTED', 'The call has started again meanwhile')
}

/** Position right after another. */
function following(position: string | undefined): string | undefined {
  const [, epoch, offset] = /^(.*)\.(\d+)$/.exec(position ?? '') ?? []
  return epoch && `${epoch}.${+offset! + 1}`
}

async function request({ url, options }: History, before: string, limit: number): Promise<SSEPage> {
  const { channel, parse, connectTimeoutMs } = options
  const own = new AbortController()
  const { url: full, fetch, init } = await prepareRequest(url(), { ...options, position: undefined }, () => ({ position: undefined }), own.signal).catch((cause) => {
    throw cause instanceof SSEError ? cause : retryableError('REQUEST_FAILED', 'An option threw', cause)
  })
  const watchdog = createWatchdog(own.signal, connectTimeoutMs)
  try {
    init.headers.set('accept', POLL_CONTENT_TYPE)
    const response = await fetch(addQuery(full, { transport: 'poll', before, channel, limit }), { ...init, signal: watchdog.signal })
    const refusal = await readRefusal(response, POLL_CONTENT_TYPE, 'INVALID_BATCH')
    if (refusal?.type === 'failed') throw refusal.error
    if (refusal) return { type: 'page', messages: [], hasOlder: false }
    const page = await readJson(response, () => watchdog.limit(connectTimeoutMs)) as SSEPage | null
    if (page?.type !== 'page' || !Array.isArray(page.messages)) throw clientError('INVALID_BATCH', 'Expected a page of older messages', undefined, 200)
    dropUnknown(page)
    return parse ? { ...page, messages: page.messages.map(one => ({ ...one, data: createReader(parse)(JSON.stringify(one.data)) })) } : page
  }
  catch (cause) {
    throw cause instanceof SSEError ? cause : retryableError(watchdog.expired ? 'CONNECT_TIMEOUT' : 'NETWORK', 'The older messages could not be loaded', cause)
  }
  finally {
    watchdog.stop()
  }
}
