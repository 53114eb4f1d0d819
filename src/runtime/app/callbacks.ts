import type { SSEClientState } from '../client/types'
import type { SSEMessage } from '../shared/types'
import type { UseSSEOptions } from './call'
import type { SSECallback } from './types'

type StateCallbacks = Pick<UseSSEOptions<SSEMessage, unknown>, 'channel' | 'onGap' | 'onError' | 'onEnd'>

/** Callbacks by event name, and those for changes of the state. */
export interface Callbacks {
  /** Registers a callback. Returns a function that unregisters it. */
  on(event: string, callback: SSECallback): () => void
  /** Calls the callbacks for a message. */
  call(message: SSEMessage): void
  /** Calls the callbacks for a new gap, error or end in a change of the state. */
  onChange(change: Partial<SSEClientState>, before: SSEClientState): void
}

/** Callbacks of one call of `useSSE`. If one throws, the others are still called. */
export function createCallbacks({ channel: narrowed, onGap, onError, onEnd }: StateCallbacks, guard: (task: () => void) => void): Callbacks {
  const byName = new Map<string, Set<SSECallback>>()
  let reporting = false

  return {
    on(event, callback) {
      let set = byName.get(event)
      if (!set) byName.set(event, set = new Set())
      set.add(callback)
      return () => void set.delete(callback)
    },
    call(message) {
      const { event, channel } = message
      for (const name of [...channel && !narrowed ? [channel, event ? `${channel}/${event}` : 'message'] : [event ?? 'message'], '*']) {
        // A callback may unregister others, or register new ones, which are not called for this message.
        const set = byName.get(name)
        for (const callback of [...set ?? []]) if (set!.has(callback)) guard(() => callback(message))
      }
    },
    onChange({ gap, error, ended }, before) {
      if (onGap && gap && gap !== before.gap) guard(() => onGap(gap))
      // An error that `onError` itself throws is not passed to it.
      if (onError && error && !reporting && !isSameFailure(error, before.error)) {
        reporting = true
        guard(() => onError(error))
        reporting = false
      }
      if (onEnd && ended && !before.ended) guard(() => onEnd())
    },
  }
}

/** Whether two errors report one failure. After the wait the error is set again without `retryAt`, and between tabs errors are copies. */
function isSameFailure(error: NonNullable<SSEClientState['error']>, before: SSEClientState['error']): boolean {
  return !!before && error.code === before.code && error.message === before.message && error.cause === before.cause && (!error.retryAt || error.retryAt === before.retryAt)
}
