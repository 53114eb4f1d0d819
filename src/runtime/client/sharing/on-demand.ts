import { createSSEClient, initialState } from '../client'
import { createGuard } from '../guard'
import type { ResolvedClientOptions } from '../options'
import { clientError } from '../response'
import type { SSEClient, SSEClientEvents, SSEClientState } from '../types'

/** Most pages share nothing: the code is loaded by the first call that does. */
const loadSharing = () => import('./shared-client')

/**
 * A client that shares its connection, and loads the code for that with its first `connect()`. Until the code is here, `connect()` waits; `stop()`,
 * `pause()` and `reset()` end the wait. If the code cannot be loaded, the client has a connection of its own, and the console says why.
 */
export function createSharedClientOnDemand(url: string, options: ResolvedClientOptions, events: SSEClientEvents, state = initialState(options.transports[0]!), load = loadSharing): SSEClient {
  let client: SSEClient | undefined
  let loading: Promise<void> | undefined
  /** Whether to connect when the code is here. */
  let wanted = false

  function set(change: Partial<SSEClientState>): void {
    state = { ...state, ...change }
    events.onState(change)
  }

  async function begin(): Promise<void> {
    const create = await load().then(sharing => sharing.createSharedClient, (cause) => {
      console.error('[nuxt-sse]', clientError('SHARING_FAILED', 'The code for `share` could not be loaded: this call has a connection of its own', cause))
      return createSSEClient
    })
    client = create(url, options, events, state)
    if (wanted) client.connect()
  }

  function cancel(change: Partial<SSEClientState>): void {
    if (wanted) set(change)
    wanted = false
  }

  return {
    get state() {
      return client ? client.state : state
    },
    connect(to) {
      if (client) return client.connect(to)
      if (to !== undefined) {
        url = to
        state = initialState(options.transports[0]!)
      }
      wanted = true
      set({ ...state, status: 'connecting', error: undefined, attempt: 0, ended: false })
      loading ??= begin()
    },
    pause() {
      if (client) client.pause()
      else cancel({ status: 'idle', error: undefined })
    },
    reset() {
      if (client) return client.reset()
      wanted = false
      set(state = initialState(options.transports[0]!))
    },
    stop() {
      if (client) client.stop()
      else cancel({ status: 'closed', error: undefined })
    },
    guard: task => client ? client.guard(task) : createGuard(set)(task),
  }
}
