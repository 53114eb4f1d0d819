import type { H3Event } from 'h3'
import { methodOf } from '#sse/h3'
import { SSEError } from '../../shared/errors'
import { isChannelSource } from '../channel/several'
import { Connection } from '../connection/connection'
import { Revalidation } from '../connection/revalidation'
import type { SSEContext } from '../context/context'
import { subjectOf } from '../http/describe-request'
import { readSSERequest } from '../http/request'
import { createResponse, readRawRequest, sendOptions, sendPending, toHttpError } from '../http/response'
import type { SSEResponse } from '../http/sink'
import { spread } from '../lib/delays'
import { isAbort, isGeneratorFunction, isIterableSource, iterate, kindOf } from '../lib/source'
import type { ResolvedHandlerOptions } from '../options'
import { isForTheLog, publicError } from '../wire/public-error'
import { admit } from './admit'
import { disposeOf } from './exchange'
import type { Exchange } from './exchange'
import { answerHead } from './head'
import { KeyedRequest } from './keyed-request'
import { answerOlder } from './older'
import { answerPoll, notPollable } from './poll'
import { askedOf, startOfSource } from './position'
import { assertNotPrerendering, warnOfPreflight, warnOfSilence } from './route-checks'
import { NO_RUN, createResumable } from './resumable'
import { startChannels } from './stream-channel'
import { streamSource } from './stream-source'

/**
 * Serves one request, from the handler's own checks to the last byte. An error thrown before the response has begun becomes an ordinary
 * HTTP error; a later one, an `error` control message.
 */
export async function serve(event: H3Event, handler: Exchange['handler'], options: ResolvedHandlerOptions, context: SSEContext): Promise<unknown> {
  const method = methodOf(event)
  // Browsers send a preflight by themselves before a request to another origin: no source may start, and nothing is refused.
  if (method === 'OPTIONS') {
    if (import.meta.dev) warnOfPreflight(event)
    return sendOptions(event)
  }
  context.insight.onRequest(event)
  const retryMs = Math.round(spread(options.retryMs))
  try {
    const request = readSSERequest(readRawRequest(event), askedOf(event).position)
    // Requests for a batch pass: they are answered at once, to a page that reads the route with `ssr`.
    if (request.mayStream) assertNotPrerendering(event)
    if (context.closing.aborted) throw new SSEError('SHUTTING_DOWN', 'The server is shutting down. Try again in a moment.', { statusCode: 503 })
    // A generator function cannot return a channel, so it is refused before it runs.
    if (!request.mayStream && !options.resumable && isGeneratorFunction(handler)) throw notPollable()
    const exchange = { event, handler, options, context, request }
    const { leave, key } = admit(event, options, context)
    if (method === 'HEAD') return await answerHead(exchange).finally(leave)
    const listening = key === undefined ? undefined : context.disconnects.listen()
    if (listening) await listening
    return await answer(exchange, leave, key)
  }
  catch (error) {
    context.insight.onRefuse(event, error)
    if (error instanceof SSEError && (error.code === 'DRIVER_UNAVAILABLE' || error.code === 'SHUTTING_DOWN')) return sendPending(event, error.message, retryMs)
    throw toHttpError(event, error)
  }
}

/**
 * Responds with a stream as soon as one has begun, and otherwise with the result of the handler's source. A handler may push for any length
 * of time before it returns. The stream's promise resolves long before the stream ends: until then a framework keeps the request, which
 * takes as much memory as the rest of an idle connection.
 */
function answer(exchange: Exchange, leave: (() => void) | undefined, key: string | undefined): Promise<unknown> {
  const { context, event, options, request } = exchange
  const answered = Promise.withResolvers<unknown>()
  const response = createResponse(event)
  const connection = new Connection(options, context, response, event)
  // A push that opens the stream before the handler has returned uses the push API.
  connection.start = () => startOfSource(event, false)
  // Covers every ending: refused, thrown, 204, closed, or left before the handler returned. A poll keeps its place until its client has
  // taken the response, because the response takes this process's memory until then.
  if (leave) connection.life.whenClosed(leave)
  const keyed = exchange.keyed = key === undefined ? undefined : new KeyedRequest(connection)
  if (keyed) connection.life.whenClosed(context.disconnects.add(key!, keyed))
  if (!request.mayStream) connection.life.forgo()
  const checks = options.revalidate && new Revalidation(connection, options.revalidate, event, context.report)
  connection.onOpen = () => {
    checks?.start(context.heartbeats)
    keyed?.onOpen()
    answered.resolve(response.answer)
  }
  start(exchange, connection, response).then(answered.resolve, answered.reject)
  return answered.promise
}

/** Runs the handler and starts its source. Resolves with the response body where there is nothing to stream. */
async function start(exchange: Exchange, connection: Connection, response: SSEResponse): Promise<unknown> {
  const { context: { report }, event, request } = exchange
  try {
    const result = await runHandler(exchange, connection, () => connection.signal)
    if (!connection.life.isOpen && exchange.keyed?.isEnding) {
      // Its checks may have passed before the disconnect.
      try {
        exchange.keyed.assertConnected()
      }
      catch (error) {
        disposeOf(result, exchange.context)
        throw error
      }
    }
    const isUnanswered = !connection.life.isOver && connection.outbox.bytes === 0
    if (isUnanswered && request.older && (isChannelSource(result) || result === NO_RUN)) return await answerOlder(exchange, result === NO_RUN ? undefined : result, connection, response)
    if (isUnanswered && isChannelSource(result) && request.transport === 'poll') return await answerPoll(exchange, result, connection, response)
    if (!connection.closed) return await startSource(exchange, connection, result)
    // The client left, or the handler closed, before a source existed: no source may start now.
    disposeOf(result, exchange.context)
    if (!connection.life.isOver) throw notPollable()
  }
  catch (error) {
    if (!connection.life.isOpen && !connection.life.isOver) {
      connection.refuseToOpen()
      throw error
    }
    if (isForTheLog(error) && !(connection.closed && isAbort(error))) report(error, 'source', subjectOf(event))
    if (connection.life.isOpen) connection.fail(publicError(error))
  }
  return null
}

/** The handler's result, or the channel of the run of its source. `left` is called only where it matters, since few handlers need a signal. */
async function runHandler({ event, handler, options, context, request }: Exchange, connection: Connection, left: () => AbortSignal): Promise<unknown> {
  if (!options.resumable) return handler(event, connection)
  const resumable = createResumable(event, context, options, request, connection, left())
  const result = await handler(event, resumable.connection)
  // No run starts for a client that has left.
  return isIterableSource(result) && !left().aborted ? resumable.channelOf(result) : result
}

async function startSource(exchange: Exchange, connection: Connection, result: unknown): Promise<unknown> {
  const { event, handler, context } = exchange
  if (isChannelSource(result)) return startChannels(exchange, result, connection)
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

function invalidSource(result: unknown): SSEError {
  return new SSEError('INVALID_SOURCE', `Expected the handler to return an async iterable, a ReadableStream, a channel, a clean-up function, or nothing, got ${kindOf(result)}. To send a value, \`yield\` it: \`async function* () { yield value }\`.`)
}
