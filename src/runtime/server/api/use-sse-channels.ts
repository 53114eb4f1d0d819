import type { SSEStream } from '../../shared/types'
import type { SSEChannels } from '../channel/several'
import { Channels } from '../channel/several'

/**
 * Several channels on one connection: return the result from `defineSSEHandler`. Each channel keeps its promises, as if it had the
 * connection alone. Between channels there is no order.
 *
 * ```ts
 * return useSSEChannels({ notices: useSSEChannel<Notice>(`user:${user.id}`), feed: useSSEChannel<Post>('feed') })
 * ```
 *
 * @param channels 1 to 32 channels by key. A key is a letter, then up to 31 letters, digits and `_`; `sse`, `open`, `error` and `message`
 * are reserved, and two keys must differ in more than case. Clients see the keys, and never the names of the channels.
 * @throws `INVALID_OPTION`
 */
export function useSSEChannels<C extends Record<string, SSEStream>>(channels: C): SSEChannels<C> {
  return new Channels(channels) as unknown as SSEChannels<C>
}
