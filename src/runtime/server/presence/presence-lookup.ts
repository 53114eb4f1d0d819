import type { SSEPresenceMember, SSEPresenceMessage } from '../../shared/presence'
import { Channel } from '../channel/channel'
import type { ChannelContext } from '../context/channel-context'
import { INTERNAL_PREFIX } from '../context/disconnect-channel'
import { withPresence } from '../drivers/capabilities'
import { graceOf, nextInDoubtMs } from '../drivers/presence-types'
import type { PresenceAnswer } from '../drivers/presence-types'
import { BEFORE_SNAPSHOT } from '../hub/snapshot-reader'
import type { SSEPresenceLookup } from './types'

/** Beginning of the names of logs that belong to presence. */
export const PRESENCE_PREFIX = `${INTERNAL_PREFIX}presence:`

/** Longest time between two looks while the members are not certain, in milliseconds. */
const LOOK_AGAIN_MS = 100

/** Implementation of {@link SSEPresenceLookup}. Needs no connections: `nuxt-sse/publisher` has nothing else of presence. */
export class PresenceLookup<D = unknown, Context extends ChannelContext = ChannelContext> extends Channel<SSEPresenceMessage<D>, Context> implements SSEPresenceLookup<D> {
  constructor(context: Context, name: string) {
    super(context, name, {}, undefined, PRESENCE_PREFIX)
  }

  /** No state but the list itself includes the members, so a client receives the list first. */
  override async endPosition(): Promise<string> {
    return BEFORE_SNAPSHOT
  }

  async members(): Promise<SSEPresenceMember<D>[]> {
    const { members } = await this.#look(true)
    return members!.map(member => JSON.parse(member) as SSEPresenceMember<D>)
  }

  async count(): Promise<number> {
    return (await this.#look(false)).count
  }

  /**
   * Reads the members, or only their number. If processes whose leases have ended may be back in a moment, it waits until they are, or are
   * lost. Rejects when the driver cannot be reached.
   */
  async #look(list: boolean): Promise<PresenceAnswer> {
    while (true) {
      const answer = await lookUp(this.context, this.name, list)
      const { doubtMs } = answer
      if (!doubtMs) return answer
      // Keeps the process alive, unlike `pause`: a script may wait for nothing else.
      await new Promise(resolve => setTimeout(resolve, Math.min(nextInDoubtMs(this.context.options.leaseMs, doubtMs), LOOK_AGAIN_MS)))
    }
  }
}

/** Reads the members of a name, or only their number, as the driver has them at the moment. Rejects when the driver cannot be reached. */
export function lookUp({ driver, options }: ChannelContext, name: string, list: boolean): Promise<PresenceAnswer> {
  return withPresence(driver).presence(name, { list, graceMs: graceOf(options.leaseMs) }, options.retention)
}
