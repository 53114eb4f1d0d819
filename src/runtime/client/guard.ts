import { clientError } from './response'
import type { SSEClient, SSEClientState } from './types'

/** Runs the user's code for a client whose state `set` changes. */
export function createGuard(set: (change: Partial<SSEClientState>) => void): SSEClient['guard'] {
  return (task) => {
    try {
      return task()
    }
    catch (cause) {
      console.error('[nuxt-sse]', cause)
      set({ error: clientError('CALLBACK_FAILED', 'A callback threw', cause) })
    }
  }
}
