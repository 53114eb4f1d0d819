import type { SSEError } from '../../shared/errors'
import { partOf } from '../../shared/whole-position'
import { clientError } from '../response'
import type { SSEClientState, SSEGap, SSEStatus } from '../types'
import type { FeedEvent } from './election'

/** View of a feed for the option `channel`: what of positions, changes and steps concerns that channel. Without `channel`, all does. */
export interface View {
  /** A position with its key, and the end of the other channels. */
  whole(position: string | undefined, channels: SSEClientState['channels']): string | undefined
  /** Part of the channel that this client follows. */
  own(position: string | undefined): string | undefined
  /** Change of a state without what concerns other channels. */
  narrowChange<T extends Partial<SSEClientState>>(change: T): T
  /** Step of the feed as this client sees it. */
  narrow(event: FeedEvent): FeedEvent
  unknownChannel(): SSEError
}

/** Channels of a client that connects: the server reports again which of them are over. */
export function reopened(channels: SSEClientState['channels']): SSEClientState['channels'] {
  return channels && Object.fromEntries(Object.keys(channels).map(key => [key, false]))
}

/** Change that a loading member shows of its reader: transport and position are those of the feed. `before`: the member's status. */
export function progressOf(change: Partial<SSEClientState>, before: SSEStatus): Partial<SSEClientState> {
  const { status, attempt } = change
  return {
    ...status && { status: status === 'connecting' && before === 'reconnecting' ? before : status },
    ...attempt !== undefined && { attempt },
    ...'error' in change && { error: change.error },
  }
}

export function viewOf(channel: string | undefined): View {
  function own(position: string | undefined): string | undefined {
    return channel !== undefined && position?.includes(':') ? partOf(position, channel) : position
  }

  function narrowChange<T extends Partial<SSEClientState>>(change: T): T {
    if (channel === undefined) return change
    const next = { ...change }
    if ('position' in change) next.position = own(change.position)
    if (isOfOther(next.gap)) delete next.gap
    if (isOfOther(next.error)) delete next.error
    // Only a route of one channel refuses a position with a key.
    if (next.error?.code === 'INVALID_POSITION') next.error = unknownChannel()
    return next
  }

  function isOfOther(value: SSEGap | SSEError | undefined): boolean {
    const { channel: its } = (value && 'details' in value ? value.details : value ?? {}) as { channel?: string }
    return its !== undefined && its !== channel
  }

  function unknownChannel(): SSEError {
    return clientError('UNKNOWN_CHANNEL', `This route has no channel \`${channel}\``)
  }

  return {
    own,
    narrowChange,
    unknownChannel,
    whole(position, channels) {
      if (channel === undefined) return position
      const others = Object.keys(channels ?? {}).filter(key => key !== channel).map(key => `${key}:now`)
      return [...others, ...position === undefined ? [] : [`${channel}:${position}`]].join() || undefined
    },
    narrow(event) {
      if (channel === undefined) return event
      const { after, state, message, gap } = event
      return { after: own(after), state: narrowChange(state), message: message?.channel === channel ? message : undefined, gap: isOfOther(gap) ? undefined : gap }
    },
  }
}
