import { SSEError } from '../../shared/errors'
import { isUpTo } from '../../shared/position'
import type { SSEBatch, SSEBatchChannel, SSEControl, SSEOpenControl } from '../../shared/protocol'
import type { SSEMessage } from '../../shared/types'
import { partOf, withPart } from '../../shared/whole-position'
import { isPosition, serverError, staleAnswer } from '../response'
import { applyControl } from '../transports/stream'
import type { Outcome, Several, TransportEvents } from '../host'

/** Channels that are over, with the error of those that failed. */
export type Over = Record<string, SSEError | boolean>

/**
 * Reads the streams of a route of several channels. The client keeps the whole position: each message moves its channel's part, whether its
 * ID is that of its channel alone or the whole position. Throws `STALE_ANSWER`.
 */
export function openSeveral({ position, channels = {} }: SSEOpenControl, requested: string | undefined, events: TransportEvents): Several {
  if (requested !== undefined && Object.entries(channels).some(([key, { position, resumed }]) => resumed && position !== partOf(requested, key))) throw staleAnswer()
  let whole = position
  let over: Over = Object.fromEntries(Object.keys(channels).map(key => [key, false]))
  events.onPeer('resumable', undefined, over)
  // Each part stays as requested until the gap of its channel was reported.
  events.onPosition(whole!)

  function finish(channel: string, error?: SSEError): void {
    over = { ...over, [channel]: error ?? true }
    events.onState({ channels: over, ...error && { error } })
  }

  return {
    message({ id, event = '', data }) {
      const [, channel, name] = /^([^/]*)(?:\/(.*))?$/s.exec(event)!
      const own = partOf(id, channel!)
      if (isUpTo(own, partOf(whole, channel!))) throw staleAnswer()
      if (own !== undefined) whole = withPart(whole, channel!, own)
      return events.onMessage({ id: own && `${channel}:${own}`, event: name, data, channel }, whole)
    },
    control(control) {
      const { type, channel } = control as { type: SSEControl['type'], channel?: string }
      if (type === 'open') return null
      if (type === 'end' && channel === undefined) return endOf(over)
      if (channel === undefined) return applyControl(control, events, requested)
      if (control.type === 'gap' && isPosition(control.position)) {
        const { reason, missed, position } = control
        whole = withPart(whole, channel, position)
        return events.onGap({ reason, missed, position, channel }, whole) ?? null
      }
      if (type !== 'end' && type !== 'error') return undefined
      finish(channel, type === 'error' ? channelError(control, channel) : undefined)
      return null
    },
    position(id) {
      for (const key in channels) whole = withPart(whole, key, partOf(id, key))
      events.onPosition(whole!)
    },
  }
}

/** End of all channels. Its error is that of the first one that failed. */
function endOf(over: Over): Outcome {
  return { type: 'ended', error: Object.values(over).find(one => one instanceof SSEError) }
}

/** Error of one of several channels, which names it. The others continue, and the client does not retry. */
function channelError(error: object, channel: string): SSEError {
  const { code, message, statusCode } = serverError(error)
  return new SSEError(code, message, { statusCode, retry: false, details: { channel } })
}

/** Delivers a batch of several channels. `over`: as of the batch before; it is updated. Throws `STALE_ANSWER`. */
export async function readSeveral({ messages, position, channels = {}, ended }: SSEBatch, requested: string | undefined, over: Over, events: TransportEvents, signal: AbortSignal): Promise<Outcome | undefined> {
  const entries = Object.entries(channels)
  for (const [key, { ended }] of entries) over[key] = ended && (over[key] ?? false)
  const copy = (): Over => Object.fromEntries(entries.map(([key]) => [key, over[key]!]))
  events.onPeer('resumable', undefined, copy())
  // As in a stream, each part stays as requested until the gap of its channel was reported: the client may be stopped between two gaps.
  const start = (key: string, { position, gap }: SSEBatchChannel) => (gap && partOf(requested, key)) ?? before(messages.find(({ channel }) => channel === key)) ?? position
  let whole: string | undefined = entries.map(([key, own]) => `${key}:${start(key, own)}`).join()
  for (const [channel, { gap }] of entries) {
    if (!gap) continue
    whole = withPart(whole, channel, gap.position)
    const outcome = events.onGap({ ...gap, channel }, whole)
    if (outcome) return outcome
    if (signal.aborted) return undefined
  }
  for (const message of messages) {
    const { channel = '' } = message
    const own = partOf(message.id, channel)
    // A gap may move its channel back, when the requested position is beyond the end.
    if (isUpTo(own, partOf(channels[channel]?.gap ? whole : requested, channel))) throw staleAnswer()
    if (own !== undefined) whole = withPart(whole, channel, own)
    const busy = events.onMessage(message, whole)
    if (busy) await busy
    if (signal.aborted) return undefined
  }
  events.onPosition(position)
  for (const [channel, { ended, error }] of entries) {
    // A channel that is still over is not reported again.
    if (!ended || over[channel] || signal.aborted) continue
    const failure = error && channelError(error, channel)
    over[channel] = failure ?? true
    events.onState({ channels: copy(), ...failure && { error: failure } })
  }
  return ended ? endOf(over) : undefined
}

/** Position right before a message. Messages without an ID are a list of members, which is at the start. */
function before(message: SSEMessage | undefined): string | undefined {
  if (message && message.id === undefined) return 'start'
  const [, epoch, offset] = /:([^:]*)\.(\d+)$/.exec(message?.id ?? '') ?? []
  return epoch && `${epoch}.${+offset! - 1}`
}
