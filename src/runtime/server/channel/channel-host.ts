import { SSEError } from '../../shared/errors'
import { createChannelContext } from '../context/channel-context'
import type { ChannelContext } from '../context/channel-context'
import type { LogDriver } from '../drivers/types'
import { DEFAULT_HANDLER_OPTIONS } from '../options'

/** Context of channels that are defined once for a program: that of its server, or of its open publishers. The first one counts. */
const hosts = new Set<() => ChannelContext>()
let noHost: ChannelContext | undefined

/** Adds a source. Returns a function that removes it. */
export function addChannelHost(host: () => ChannelContext): () => void {
  hosts.add(host)
  return () => void hosts.delete(host)
}

/** Context of channels in this process. Without any, channels reject with `NO_PUBLISHER`: a handle may be made anywhere. */
export function useChannelContext(): ChannelContext {
  for (const host of hosts) return host()
  return noHost ??= createChannelContext({ options: DEFAULT_HANDLER_OPTIONS, driver: createMissingDriver(), report: () => {} })
}

function createMissingDriver(): LogDriver {
  const refuse = async (): Promise<never> => {
    throw new SSEError('NO_PUBLISHER', 'Expected an open publisher: outside of a Nitro server, call `createSSEPublisher` before you use a channel.', { retry: false })
  }
  return { name: 'none', append: refuse, finish: refuse, lease: refuse, read: refuse, subscribe: refuse, remove: refuse, close: async () => {} }
}
