import type { ChannelSource } from '../channel/several'
import { channelsOf } from '../channel/several'
import { Presence } from '../presence/presence'

/** End of a client's connection, as far as presence is concerned. */
type Exit = (leaveAfterMs: number) => void

/**
 * Lets a client be present in the source, and follows it for its reader. Resolves with a function that ends that, `afterMs` before the client
 * counts as gone; `undefined` if the source has no presence. Rejects when the driver cannot be reached. `joins`: whether the client becomes
 * a member, if the route gave one. `stayMs`: additional time for which it stays if this process stops meanwhile.
 */
export async function attend(source: ChannelSource, { joins, stayMs = 0 }: { joins: boolean, stayMs?: number }): Promise<((afterMs: number) => void) | undefined> {
  const found = channelsOf(source).map(([, channel]) => channel).filter(channel => channel instanceof Presence)
  if (!found.length) return undefined
  const ends: Exit[] = []
  const end = (afterMs: number) => ends.splice(0).forEach(one => one(afterMs))
  try {
    for (const presence of found) {
      ends.push(presence.watch())
      const exit = joins ? await presence.enter(presence.leaveAfterMs + stayMs) : undefined
      if (exit) ends.push(afterMs => exit(presence.leaveAfterMs + afterMs))
    }
    return end
  }
  catch (error) {
    end(0)
    throw error
  }
}
