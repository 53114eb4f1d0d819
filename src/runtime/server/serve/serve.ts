import type { H3Event } from 'h3'
import { methodOf } from '#sse/h3'
import { SSEError } from '../../shared/errors'
import { admit } from './admit'
import { startOfSource } from './asked-position'
import { Channel } from '../channel/channel'
import type { ResponseSink, SSEResponse } from '../http/sink'
import type { SSEConnection } from '../connection/types'
import type { CleanupContext } from '../connection/cleanups'
import { runSafely } from '../connection/cleanups'
import { Connection } from '../connection/connection'
import type { SSEContext } from '../context/context'
import { spread } from '../lib/jitter'
import type { ResolvedHandlerOptions } from '../options'
import { notPollable, pollChannel } from './poll'
import { subjectOf } from '../insight/log'
import { assertNotPrerendering } from './prerendering'
import { isForTheLog, publicError } from '../wire/public-error'
import type { SSERequest } from '../http/request'
import { channelPosition, readSSERequest } from '../http/request'
import { createResponse, readRawRequest, sendHead, sendJson, sendNothing, sendOptions, sendPending, toHttpError } from '../http/response'
import { RunChannel, createResumable } from './resumable'
import { Revalidation } from '../connection/revalidation'
import { warnOfPreflight, warnOfSilence } from './route-warnings'
import { streamChannel } from './stream-channel'
import { isAbort, isGeneratorFunction, isIterableSource, iterate, kindOf, release } from '../lib/source'
import { streamSource } from './stream-source'
import { afterTick } from '../lib/tick'

interface Served {
  event: H3Event
  handler: (event: H3Event, connection: SSEConnection) => unknown
  options: ResolvedHandlerOptions
  context: SSEContext
  request: SSERequest
}

/**
 * One request, from the handler's own checks to the last byte. What is thrown before the response has begun becomes an
 * ordinary HTTP error; later, an `error` control message.
 */
export async function serve(event: H3Event, handler: Served['handler'], options: ResolvedHandlerOptions, context: SSEContext): Promise<unknown> {
  const method = methodOf(event)
  // Browsers send it by themselves before a request to another origin: nothing may start, and nothing is refused.
  if (method === 'OPTIONS') {
    if (import.meta.dev) warnOfPreflight(event)
    return sendOptions(event)
  }
  const retryMs = Math.round(spread(options.retryMs))
  const pending = (message: string) => sendPending(event, message, retryMs)
  try {
    const request = readSSERequest(readRawRequest(event))
    // A batch is answered at once, to a page that reads it with `ssr`.
    if (request.mayStream) assertNotPrerendering(event)
    if (context.closing.aborted) throw new SSEError('SHUTTING_DOWN', 'The server is shutting down. Try again in a moment.', { statusCode: 503 })
    // What a generator yields is known to be no channel before it runs.
    if (!request.mayStream && !options.resumable && isGeneratorFunction(handler)) throw notPollable()
    const served = { event, handler, options, context, request }
    const leave = admit(event, options, context)
    return method === 'HEAD' ? await answerHead(served).finally(leave) : await answer(served, leave)
  }
  catch (error) {
    context.insight.onRefuse(event, error)
    if (error instanceof SSEError && (error.code === 'DRIVER_UNAVAILABLE' || error.code === 'SHUTTING_DOWN')) return pending(error.message)
    throw toHttpError(event, error)
  }
}

/** Streams, or polls: which one may be known only when the handler has returned its source. */
async function answer(served: Served, leave: (() => void) | undefined): Promise<unknown> {
  const { context, event, options, request } = served
  const response = createResponse(event)
  const connection = new Connection(options, context, response, event)
  // A push that opens it, before the handler has returned, is push style.
  connection.start = () => startOfSource(event, false)
  // However it ends: refused, thrown, 204, closed, or left before the handler returned. A poll has its place until its client has
  // taken the answer, which is memory of ours until then.
  if (leave) connection.whenClosed(leave)
  if (!request.mayStream) connection.forgo()
  const { revalidate } = options
  if (revalidate) {
    const { heartbeats, report } = context
    void response.opened.then(() => new Revalidation(connection, revalidate.everyMs, () => revalidate.check(event), report).start(heartbeats))
  }
  // A handler may push for as long as it likes before it returns: the response is under way then.
  const result = await Promise.race([start(served, connection, response), response.opened])
  // The handler returns long before the stream ends: until then a framework holds on to the request, which is as much as all
  // the rest of an idle connection. Once the headers are sent, it leaves the response alone.
  return response.isOpen ? response.answer : result
}

/** Runs the handler and starts its source. Resolves with what to answer where there is nothing to stream. */
async function start(served: Served, connection: Connection, response: SSEResponse): Promise<unknown> {
  const { context: { report }, event, request } = served
  try {
    const result = await runHandler(served, connection, () => connection.signal)
    if (!connection.isOver && result instanceof Channel && request.transport === 'poll' && !connection.hasBegun) return await answerPoll(served, result, connection, response)
    if (!connection.closed) return await startSource(served, connection, result)
    // The client left, or the handler closed, before there was a source: nothing may start now.
    dispose(result, served.context)
    if (!connection.isOver) throw notPollable()
  }
  catch (error) {
    if (!connection.isOpen && !connection.isOver) {
      connection.refuseToOpen()
      throw error
    }
    if (isForTheLog(error) && !(connection.closed && isAbort(error))) report(error, 'source', subjectOf(event))
    if (connection.isOpen) connection.fail(publicError(error))
  }
  return null
}

/** What the handler returns, or the channel that its source is run behind. `left` is asked only where it matters, as few handlers need a signal. */
async function runHandler({ event, handler, options, context, request }: Served, connection: Connection, left: () => AbortSignal): Promise<unknown> {
  if (!options.resumable) return handler(event, connection)
  const resumable = createResumable(event, context, options, request, connection, left())
  const result = await handler(event, resumable.connection)
  // Nothing starts for a client that has left.
  return isIterableSource(result) && !left().aborted ? resumable.channelOf(result) : result
}

async function startSource({ event, handler, context, request }: Served, connection: Connection, result: unknown): Promise<unknown> {
  if (result instanceof Channel) return startChannel(result, connection, context, request, event)
  if (isIterableSource(result)) {
    connection.start = () => startOfSource(event, true)
    void streamSource(connection, iterate(result), context.report, subjectOf(event), () => connection.open())
    return null
  }
  if (typeof result === 'function' && !isGeneratorFunction(result)) connection.onClosed(result as () => unknown)
  else if (result !== undefined) throw invalidSource(result)
  else if (import.meta.dev) warnOfSilence(event, handler.length)
  connection.open()
  return null
}

async function startChannel(channel: Channel, connection: Connection, context: SSEContext, request: SSERequest, event: H3Event): Promise<unknown> {
  const { position: asked, from } = beginningOf(channel, request, connection.options)
  const reader = await context.hub.reader(channel.name, asked, from)
  if (connection.closed) return reader.close()
  // Read to its end: 204 is what stops a browser's EventSource. A failed channel must still say why.
  if (reader.complete && !reader.closing?.error) {
    reader.close()
    connection.refuseToOpen()
    return sendNothing(event)
  }
  // Until it is told of its gap, a reader stands where it asked for: cut off before, it must ask again, and be told again.
  const position = reader.gap ? (askedId(request) ?? reader.position) : reader.position
  connection.open({ position, resumed: reader.resumed, channel: channel.name })
  if (channel instanceof RunChannel) connection.whenClosed(channel.attend())
  streamChannel(connection, reader, context)
  return null
}

/** A reader of its own run gets all of it, also with `now`: the first messages may be there before the reader is. */
function beginningOf(channel: Channel, request: SSERequest, { from }: ResolvedHandlerOptions): { position: ReturnType<typeof channelPosition>, from: 'start' | 'now' } {
  const position = channelPosition(request.position)
  if (!(channel instanceof RunChannel)) return { position, from }
  return { position: typeof position === 'object' && position.kind === 'now' ? undefined : position, from: 'start' }
}

function askedId({ position }: SSERequest): string | undefined {
  return position && channelPosition(position) !== 'malformed' ? position.text : undefined
}

async function answerPoll({ event, options, context, request }: Served, channel: Channel, connection: Connection, response: SSEResponse): Promise<unknown> {
  connection.forgo()
  context.endAbandoned?.()
  const over = context.insight.onPoll()
  const gone = channel instanceof RunChannel ? channel.attend() : undefined
  try {
    const poll = { ...beginningOf(channel, request, options), waitMs: request.waitMs, signal: connection.signal }
    const { json, gap } = await pollChannel(context, channel, options, poll).finally(gone)
    if (connection.isOver) return null
    if (gap) context.insight.onGap(channel.name, gap, 'poll')
    return sendJson(event, json, options.headers)
  }
  finally {
    over()
    // Where nothing says when the answer was taken, it is over when there is one.
    if (!response.holdsRequest) connection.refuseToOpen()
  }
}

/** The handler's own checks decide the status, and nothing starts. */
async function answerHead({ event, handler, options, context, request }: Served): Promise<unknown> {
  const result = await handler(event, new Connection(options, context, CLOSED_SINK))
  const canBePolled = result instanceof Channel || (options.resumable && isIterableSource(result))
  dispose(result, context)
  if (!canBePolled && !request.mayStream) throw notPollable()
  return sendHead(event, canBePolled ? request.transport : 'stream', options.headers)
}

/** What is pushed where there is no stream goes nowhere, as after a disconnect. */
const CLOSED_SINK: ResponseSink = {
  watch: events => events.onClose(),
  open: () => false,
  write: () => true,
  end() {},
  destroy() {},
  afterTick,
  callable: task => task,
  bufferedBytes: 0,
}

/** Releases what a handler returned when it will not be streamed. */
function dispose(result: unknown, context: CleanupContext): void {
  if (typeof result === 'function') runSafely(result as () => unknown, context)
  else if (!(result instanceof Channel) && isIterableSource(result)) runSafely(() => release(iterate(result), context.report), context)
}

function invalidSource(result: unknown): SSEError {
  return new SSEError('INVALID_SOURCE', `Expected the handler to return an async iterable, a ReadableStream, a channel, a clean-up function, or nothing, got ${kindOf(result)}. To send a value, \`yield\` it: \`async function* () { yield value }\`.`)
}
