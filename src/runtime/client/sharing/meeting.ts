import { isUpTo } from '../../shared/position'
import { partOf } from '../../shared/whole-position'
import type { FeedEvent } from './election'

/** Step of a feed. `isRead`: the member has read its message or gap itself, so that only the state applies. */
export type Step = [event: FeedEvent, isRead: boolean]

/**
 * Steps of a feed that continue from a position. `undefined`: the position is of neither the feed nor after it. `isWhole`: positions are those
 * of several channels, each of which continues from a step of its own.
 */
export function stepsFrom(at: string | undefined, events: readonly FeedEvent[], isWhole: boolean): Step[] | undefined {
  const { position, channels = {} } = events.at(-1)!.state
  const keys = Object.keys(channels)
  if (!isWhole || !keys.length) {
    const next = events.findIndex(({ after }) => after === at)
    // -1: only the last event applies, for its state.
    return next >= 0 || isUpTo(position, at) ? events.slice(next).map(event => [event, false]) : undefined
  }
  const met = keys.map((key) => {
    const own = partOf(at, key)
    const index = events.findIndex(({ after }) => partOf(after, key) === own)
    return index < 0 && isUpTo(partOf(position, key), own) ? events.length : index
  })
  if (met.includes(-1)) return undefined
  return events.map((event, index) => [event, index < (met[keys.indexOf((event.message ?? event.gap)?.channel ?? '')] ?? Math.max(...met))])
}
