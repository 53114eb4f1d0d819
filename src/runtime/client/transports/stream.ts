import { createParser } from 'eventsource-parser'
import type { EventSourceMessage } from 'eventsource-parser'
import { SSEError } from '../../shared/errors'
import { CONTROL_EVENT, STREAM_CONTENT_TYPE } from '../../shared/protocol'
import type { SSEControl } from '../../shared/protocol'
import { networkError, refusalOf } from '../response'
import type { Outcome, TransportEvents, TransportRequest } from '../types'
import { Watchdog } from '../watchdog'

/** Silence that counts as death, in heartbeats: one may be lost, and a timer late. */
const SILENT_HEARTBEATS = 2.5
/** Characters of one message that are gathered before the stream is given up: a message may be 1 MiB, and some more. */
const MAX_MESSAGE_LENGTH = 16_777_216

/** One event stream, from request to its last byte. */
export async function streamTransport({ url, init, position, connectTimeoutMs, silenceTimeoutMs, signal }: TransportRequest, events: TransportEvents): Promise<Outcome> {
  // One timer with two limits: first for headers and first bytes, then for silence.
  const watchdog = new Watchdog(signal, connectTimeoutMs)
  let open = false
  let control: SSEControl | undefined
  const queue: (string | EventSourceMessage)[] = []
  let broken: unknown
  const parser = createParser({
    onId: id => void queue.push(id),
    onEvent: event => void queue.push(event),
    onRetry: retryMs => events.onRetry(retryMs),
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') broken = error
    },
    maxBufferSize: MAX_MESSAGE_LENGTH,
  })

  const begin = (heartbeatMs?: number) => {
    if (!open || heartbeatMs !== undefined) events.onOpen(heartbeatMs)
    open = true
    watchdog.limitMs = silenceTimeoutMs ?? (heartbeatMs ? heartbeatMs * SILENT_HEARTBEATS : watchdog.limitMs === connectTimeoutMs ? false : watchdog.limitMs)
  }

  try {
    const headers = new Headers(init.headers)
    headers.set('accept', STREAM_CONTENT_TYPE)
    if (position) headers.set('last-event-id', toHeader(position))
    const response = await fetch(url, { ...init, headers, signal: watchdog.signal })
    const refusal = await refusalOf(response)
    if (refusal) return refusal
    if (!response.headers.get('content-type')?.startsWith(STREAM_CONTENT_TYPE)) {
      await response.body?.cancel()
      return { type: 'failed', error: new SSEError('NOT_EVENT_STREAM', `Expected ${STREAM_CONTENT_TYPE} from ${url}, got ${response.headers.get('content-type')}.`, { statusCode: response.status, retry: false }) }
    }
    const decoder = new TextDecoder()
    const reader = response.body!.getReader()
    while (true) {
      const { done, value } = await reader.read()
      if (done) break
      watchdog.touch()
      if (!open) begin()
      parser.feed(decoder.decode(value, { stream: true }))
      if (broken) throw broken
      for (const item of queue.splice(0)) {
        if (signal.aborted) break
        if (typeof item === 'string') events.onPosition(item)
        else if ((control = parseControl(item))) {
          if (control.type === 'open') begin(control.heartbeatMs)
          const outcome = obey(control, events)
          if (outcome) {
            void reader.cancel().catch(() => {})
            return outcome
          }
        }
        else {
          // While a consumer is busy nothing is read, and nothing can be silent.
          const busy = events.onMessage({ ...item, data: parseData(item.data) })
          if (busy) await watchdog.pause(busy)
        }
      }
    }
    return { type: 'failed', error: networkError('NETWORK', 'The stream broke off.'), mute: !open }
  }
  catch (cause) {
    if (watchdog.barked) {
      const error = open ? networkError('SILENCE', 'The stream fell silent.', cause) : networkError('CONNECT_TIMEOUT', `No answer within ${connectTimeoutMs} ms.`, cause)
      return { type: 'failed', error, mute: !open }
    }
    return { type: 'failed', error: broken ? new SSEError('MESSAGE_TOO_LARGE', 'A message is too large.', { cause, retry: false }) : networkError('NETWORK', 'The connection failed.', cause) }
  }
  finally {
    watchdog.stop()
  }
}

function obey(control: SSEControl, events: TransportEvents): Outcome | undefined {
  switch (control.type) {
    case 'open':
      if (control.position !== undefined) events.onPosition(control.position)
      return undefined
    case 'gap': {
      const { reason, missed, position } = control
      events.onGap({ reason, missed, position })
      return undefined
    }
    case 'end':
      return { type: 'ended' }
    case 'leave':
      return control
    case 'error':
      return { type: 'failed', error: new SSEError(control.code, control.message, control) }
  }
}

const CONTROL_TYPES = new Set(['open', 'gap', 'end', 'error', 'leave'])

/** A control message; `undefined` for any other, and for a foreign server's that happens to have the same name. */
function parseControl({ event, data }: EventSourceMessage): SSEControl | undefined {
  if (event !== CONTROL_EVENT) return undefined
  const control = parseData(data) as SSEControl | null
  return CONTROL_TYPES.has(control?.type as string) ? control! : undefined
}

/** Data that is not JSON is the text that it was. */
function parseData(data: string): unknown {
  try {
    return JSON.parse(data)
  }
  catch {
    return data
  }
}

/** Header values are bytes: as browsers do, the UTF-8 of the id. */
function toHeader(position: string): string {
  return String.fromCharCode(...new TextEncoder().encode(position))
}
