import type { SSEClient, SSEClientState } from '../client/types'
import type { SSEMessage } from '../shared/types'
import type { UseSSEOptions } from './call'
import type { SSECallback } from './types'

type StateCallbacks = Pick<UseSSEOptions<SSEMessage, unknown>, 'onGap' | 'onError' | 'onEnd'>

export interface Callbacks {
  on(event: string, callback: SSECallback): () => void
  /** Calls those for a message. */
  call(message: SSEMessage): void
  /** Calls those for what is new in a state. */
  follow(change: Partial<SSEClientState>, before: SSEClientState): void
}

/** A call's callbacks. Whatever one throws, the others are called, too. */
export function createCallbacks({ onGap, onError, onEnd }: StateCallbacks, guard: SSEClient['guard']): Callbacks {
  const byName = new Map<string, Set<SSECallback>>()
  let telling = false

  return {
    on(event, callback) {
      let set = byName.get(event)
      if (!set) byName.set(event, set = new Set())
      set.add(callback)
      return () => void set.delete(callback)
    },
    call(message) {
      for (const name of [message.event ?? 'message', '*']) {
        // A callback may take back or register others, which are not for this message.
        const set = byName.get(name)
        for (const callback of [...set ?? []]) if (set!.has(callback)) guard(() => callback(message))
      }
    },
    follow({ gap, error, ended }, before) {
      if (onGap && gap && gap !== before.gap) guard(() => onGap(gap))
      // What `onError` itself throws is not told to it.
      if (onError && error && !telling && !isSameFailure(error, before.error)) {
        telling = true
        guard(() => onError(error))
        telling = false
      }
      if (onEnd && ended && !before.ended) guard(() => onEnd())
    },
  }
}

/** The wait after a failure ends with the same error, without `retryAt`; between tabs, errors are copies. */
function isSameFailure(error: NonNullable<SSEClientState['error']>, before: SSEClientState['error']): boolean {
  return !!before && error.code === before.code && error.message === before.message && error.cause === before.cause && (!error.retryAt || error.retryAt === before.retryAt)
}
