import { afterEach, vi } from 'vitest'
import type { SSEClient, SSEClientOptions, SSEClientState, SSEShare } from '../../../src/runtime/client/types'
import { resolveClientOptions } from '../../support/client-options'
import { createSharedClient } from '../../../src/runtime/client/sharing/shared-client'
import type { SSEMessage } from '../../../src/runtime/shared/types'

export interface Sharer extends SSEClient {
  /** Data of all messages, in the order in which they came. */
  readonly seen: unknown[]
  readonly messages: SSEMessage[]
  /** Each status that it had, without repetitions. */
  readonly statuses: string[]
}

type Options = SSEClientOptions & { share?: SSEShare }

const sharers: Sharer[] = []

/** Stops those of a test after it. */
export function useSharers(): void {
  afterEach(() => {
    for (const sharer of sharers.splice(0)) sharer.stop()
  })
}

export function share(url: string, options: Options = {}, state?: SSEClientState, create = createSharedClient): Sharer {
  const messages: SSEMessage[] = []
  const statuses: string[] = []
  const resolved = resolveClientOptions({ share: 'page', reconnect: { minDelayMs: 1, maxDelayMs: 2 }, ...options } as Options)
  const client = create(url, resolved, {
    onMessage: message => void messages.push(message),
    onState: ({ status }) => {
      if (status && status !== statuses.at(-1)) statuses.push(status)
    },
  }, state)
  const sharer = Object.defineProperties(client, {
    messages: { value: messages },
    statuses: { value: statuses },
    seen: { get: () => messages.map(message => message.data) },
  }) as Sharer
  sharers.push(sharer)
  sharer.connect()
  return sharer
}

/** Another tab: the same code, sharing only the browser's own means. Node has Web Locks and BroadcastChannel too. */
export async function openTab(): Promise<(url: string, options?: Options) => Sharer> {
  vi.resetModules()
  const { createSharedClient: create } = await import('../../../src/runtime/client/sharing/shared-client')
  return (url, options) => share(url, { share: 'browser', ...options }, undefined, create)
}
