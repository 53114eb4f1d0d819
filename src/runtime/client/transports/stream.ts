import { SSEError } from '../../shared/errors'
import { parseForeign, parseJson } from '../../shared/json'
import type { SSEControl } from '../../shared/protocol'
import { CONTROL_EVENT, PROTOCOL_HEADER, STREAM_CONTENT_TYPE } from '../../shared/protocol'
import { createParser, createReader } from '../parser'
import { clientError, isPosition, parseMs, retryableError, serverError, staleAnswer } from '../response'
import type { SSEPeer } from '../types'
import { addQuery, crossesOrigin } from '../url'
import { createWatchdog } from '../watchdog'
import type { Failure, Outcome, Several, TransportEvents, TransportRequest } from '../host'

/** Silence after which a stream counts as dead, in heartbeats. One heartbeat may be lost, and a timer may be late. */
const SILENT_HEARTBEATS = 2.5

/** Runs one event stream, from the request to the last byte. */
export async function streamTransport(request: TransportRequest, events: TransportEvents): Promise<Outcome> {
  const { fetch, init, position, peer: known, skipCaches, options: { connectTimeoutMs, silenceTimeoutMs, loadFallback, parse: parseOption }, signal } = request
  let { url } = request
  // One timer with two limits: first for headers and first bytes, then for silence.
  const watchdog = createWatchdog(signal, connectTimeoutMs)
  request.wait = watchdog.limit
  let open = false
  let response: Response | undefined
  /** A foreign server has answered, and may take time before its first byte: the limit is that of silence. */
  let slowStart = false
  let peer: SSEPeer | undefined
  let crosses = false
  let read = parseJson
  let silenceMs: number | false = false
  const parse = createParser(events.onRetry)
  /** Replaced on a route of several channels. */
  let target: Several = { message: message => events.onMessage(message), control: control => applyControl(control, events, position), position: events.onPosition }
  const isForeign = known === 'foreign'
  const failed = (error: SSEError): Failure => ({ type: 'failed', error, silent: error.code === 'CONNECT_TIMEOUT', unanswered: !response && error.code === 'NETWORK' })

  function begin(heartbeatMs = 0): void {
    open = true
    request.wait = undefined
    silenceMs = silenceTimeoutMs ?? (heartbeatMs > 0 && heartbeatMs * SILENT_HEARTBEATS)
    watchdog.limit(silenceMs)
    events.onOpen(silenceMs)
  }

  try {
    // Some servers compare the whole header, so others than the page's get the parameter once they have sent an `open`.
    crosses = crossesOrigin(url)
    init.headers.set('accept', (known && !isForeign) || (globalThis.location && !crosses) ? `${STREAM_CONTENT_TYPE};positions=own` : STREAM_CONTENT_TYPE)
    if (position) {
      // Across origins, the header would need a preflight, unlike the first request. Only this module's server reads the query.
      if ((crosses || skipCaches) && !isForeign) url = addQuery(url, { position })
      else init.headers.set('last-event-id', toHeader(position))
    }
    response = await fetch(url, { ...init, signal: watchdog.signal })
    if (response.status === 204) return { type: 'ended' }
    if (!response.ok || !response.headers.get('content-type')?.toLowerCase().startsWith(STREAM_CONTENT_TYPE)) {
      const refusal = await (await loadFallback()).readRefusal(response, STREAM_CONTENT_TYPE, 'NOT_EVENT_STREAM')
      if (refusal) return refusal
    }
    // This module's server sends its first bytes at once. Another server may send headers and then take time, as a language model does.
    slowStart = !response.headers.has(PROTOCOL_HEADER) && (!known || isForeign)
    if (slowStart) {
      request.wait = undefined
      watchdog.limit(silenceTimeoutMs ?? false)
    }
    const decoder = new TextDecoder()
    const reader = response.body!.getReader()
    while (true) {
      const { done, value } = await reader.read()
      if (done) return failed(retryableError('NETWORK', 'The stream was cut off'))
      watchdog.touch()
      if (!open) begin()
      const blocks = parse(decoder.decode(value, { stream: true }))
      if (!blocks) return failed(clientError('MESSAGE_TOO_LARGE', 'A message is too large'))
      for (const { id, event, data: text } of blocks) {
        if (signal.aborted) break
        // A stream that begins with `open` is from this module's server. In any other stream, an event of this name is a message.
        let control = event === CONTROL_EVENT && peer !== 'foreign' ? parseJson(text ?? '') as SSEControl | null : undefined
        if (!peer) {
          if (control?.type === 'open') {
            const { restarts } = control
            peer = isPosition(control.position) ? 'resumable' : 'ours'
            begin(parseMs(control.heartbeatMs))
            read = createReader(parseOption ?? (control.text === true ? 'text' : 'json'))
            if (control.channels) target = (await loadFallback()).openSeveral(control, position, events)
            else events.onPeer(peer, typeof restarts === 'boolean' ? restarts : undefined)
          }
          // With the mark, it is a control message of a later build, and `open` follows.
          else if (control === undefined || !response.headers.has(PROTOCOL_HEADER)) {
            control = undefined
            read = createReader(parseOption ?? parseForeign)
            events.onPeer(peer = 'foreign')
          }
        }
        const outcome = control ? target.control(control) : undefined
        if (outcome) return outcome
        if (text !== undefined && control === undefined) {
          const busy = target.message({ id, event, data: read(text) })
          if (busy) {
            // While the consumer is busy nothing is read, so silence is not measured.
            watchdog.limit(false)
            await busy
            watchdog.limit(silenceMs)
          }
        }
        // A control message of a later build is no message, but its position counts.
        else if (outcome === undefined && id !== undefined) {
          target.position(id)
        }
      }
    }
  }
  catch (cause) {
    // After a deployment, an open tab does not find the code that reads a refusal: then its status decides, and `Retry-After` in seconds.
    if (cause instanceof SSEError) return response?.ok === false ? { ...failed(serverError({ statusCode: response.status })), retryAfterMs: +response.headers.get('retry-after')! * 1_000 || 0 } : failed(cause)
    if (!watchdog.expired) {
      const why = !open && position && crosses && isForeign ? '. To resume across origins, allow the header `last-event-id` in CORS' : ''
      return failed(retryableError('NETWORK', `The connection failed${why}`, cause))
    }
    return failed(open || slowStart ? retryableError('SILENCE', 'The stream fell silent', cause) : retryableError('CONNECT_TIMEOUT', `No data within ${connectTimeoutMs} ms`, cause))
  }
  finally {
    request.wait = undefined
    // Also aborts the request, if it is still open.
    watchdog.stop()
  }
}

/**
 * Applies a control message. Returns how the stream ends, `null` if it continues, `undefined` if the message is of no known type. Throws
 * `STALE_ANSWER`.
 */
export function applyControl(control: SSEControl, events: TransportEvents, requested: string | undefined): Outcome | null | undefined {
  const { type } = control
  if (type === 'open') {
    const { position, resumed } = control
    if (isPosition(position)) {
      if (requested === undefined) events.onPosition(position)
      // Without `resumed`, a gap follows, with the position from which the stream continues.
      else if (resumed === true && position !== requested) throw staleAnswer()
    }
    return null
  }
  if (type === 'gap' && isPosition(control.position)) {
    const { reason, missed, position } = control
    return events.onGap({ reason, missed, position }) ?? null
  }
  if (type === 'heartbeat') return null
  if (type === 'end') return { type: 'ended' }
  if (type === 'leave') return { type, retryMs: parseMs(control.retryMs) }
  if (type === 'error') return { type: 'failed', error: serverError(control), ofSource: true }
}

/** Header value for a position: the bytes of its UTF-8, as browsers send it. */
function toHeader(position: string): string {
  return String.fromCharCode(...new TextEncoder().encode(position))
}
