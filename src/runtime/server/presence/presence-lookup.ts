import type { SSEPresenceMember, SSEPresenceMessage } from '../../shared/presence'
import { Channel } from '../channel/channel'
import type { ChannelContext } from '../context/channel-context'
import { INTERNAL_PREFIX } from '../context/disconnect-channel'
import { withPresence } from '../drivers/capabilities'
import type { PresenceAnswer } from '../drivers/presence-types'
import type { SSEPresenceLookup } from './types'

/** Beginning of the names of logs that belong to presence. */
export const PRESENCE_PREFIX = `${INTERNAL_PREFIX}presence:`

/** Implementation of {@link SSEPresenceLookup}. Needs no connections: `nuxt-sse/publisher` has nothing else of presence. */
export class PresenceLookup<D = unknown, Context extends ChannelContext = ChannelContext> extends Channel<SSEPresenceMessage<D>, Context> implements SSEPresenceLookup<D> {
  constructor(context: Context, name: string) {
    super(context, name, {}, undefined, PRESENCE_PREFIX)
  }

  async members(): Promise<SSEPresenceMember<D>[]> {
    const { members } = await this.look(true)
    return members!.map(member => JSON.parse(member) as SSEPresenceMember<D>)
  }

  async count(): Promise<number> {
    return (await this.look(false)).count
  }

  /** Reads the members, or only their number. Rejects when the driver cannot be reached. */
  protected async look(list: boolean): Promise<PresenceAnswer> {
    const { driver, options } = this.context
    return withPresence(driver).presence(this.name, { list }, options.retention)
  }
}
