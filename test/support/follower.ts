import { onTestFinished } from 'vitest'
import { createSSEClient, initialState } from '../../src/runtime/client/client'
import { loadState, readState } from '../../src/runtime/client/read-state'
import { createSharedClient } from '../../src/runtime/client/sharing/shared-client'
import type { SSEClient, SSEClientOptions, SSEClientState, SSEShare } from '../../src/runtime/client/types'
import type { SSEMessage, SSESnapshot } from '../../src/runtime/shared/types'
import { resolveClientOptions } from './client-options'

/** A client with `load` and `reduce`, as `useSSE` makes it, without Vue. */
export interface Follower<S> {
  readonly client: SSEClient
  readonly data: S
  /** Calls of `load`. */
  readonly loads: number
  /** Each change of the state, with `loaded` for each state that was applied. */
  readonly log: (Partial<SSEClientState> | 'loaded')[]
}

interface FollowerOptions<S> extends SSEClientOptions {
  load: (signal: AbortSignal) => SSESnapshot<S> | Promise<SSESnapshot<S>>
  reduce: (state: S, message: SSEMessage) => S
  initial: S
  share?: SSEShare
  /** State that the server has loaded while it rendered. */
  rendered?: SSESnapshot<S>
  onLoad?: (data: S) => void
}

/** Follows a state. The client stops after the test. */
export function follow<S>(url: string, { load, reduce, initial, rendered, onLoad, ...options }: FollowerOptions<S>): Follower<S> {
  let data = rendered?.data ?? initial
  let loads = 0
  const log: Follower<S>['log'] = []
  const resolved = resolveClientOptions({ reconnect: { minDelayMs: 1, maxDelayMs: 2 }, ...options } as SSEClientOptions)
  resolved.readState = signal => readState(() => {
    loads++
    return load(signal)
  }, options.channel)
  resolved.loadState = loadState
  const client = (options.share || options.channel ? createSharedClient : createSSEClient)(url, resolved, {
    onMessage: (message) => {
      data = reduce(data, message)
    },
    onLoad: (state) => {
      log.push('loaded')
      data = state as S
      onLoad?.(data)
    },
    onState: change => void log.push(change),
  }, { ...initialState(resolved.transports[0]!), position: rendered?.position })
  onTestFinished(() => client.stop())
  client.connect()
  return {
    client,
    log,
    get data() {
      return data
    },
    get loads() {
      return loads
    },
  }
}
