import { SSEError, printValue } from '../../shared/errors'
import { formatWhole } from '../../shared/whole-position'
import type { SSESnapshot } from '../../shared/types'

/** A channel whose position can be read, with its key on a route of several. */
type Positioned = readonly [key: string | undefined, channel: { endPosition(): Promise<string> }]

/**
 * Reads the position of each channel, and then the state. A change that is published meanwhile is in the state, after the position, or both:
 * nothing falls in between.
 */
export async function snapshotOf<S>(channels: readonly Positioned[], load: () => S | Promise<S>): Promise<SSESnapshot<S>> {
  if (typeof load !== 'function') throw new SSEError('INVALID_OPTION', `Expected \`load\` to be a function that returns the state, got ${printValue(load)}.`)
  const positions = await Promise.all(channels.map(async ([key, channel]) => [key ?? '', await channel.endPosition()] as const))
  const position = channels[0]![0] === undefined ? positions[0]![1] : formatWhole(positions)
  return { data: await load(), position }
}
