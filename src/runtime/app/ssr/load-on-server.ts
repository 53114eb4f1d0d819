import type { NuxtApp } from '#app'
import { useRequestEvent } from '#imports'
import type { LoadOutcome } from '../../client/host'
import { clientError } from '../../client/response'
import type { SSEClientEvents } from '../../client/types'
import { READ_TIMEOUT_MS, isSharedPage } from './read-so-far'
import type { SSESnapshot } from './snapshot'

/**
 * Calls the option `load` while the server renders, for up to 3 s, and passes its state to `events`. `snapshot` returns the resulting content
 * and state. Never throws: a failure is part of the state. `undefined`: the browser loads.
 */
export async function loadOnServer(nuxtApp: NuxtApp, readState: (signal: AbortSignal) => Promise<LoadOutcome>, { onLoad, onState }: SSEClientEvents, snapshot: () => SSESnapshot): Promise<SSESnapshot | undefined> {
  const reading = new AbortController()
  const timer = setTimeout(() => reading.abort(), READ_TIMEOUT_MS)
  const timeout = new Promise<LoadOutcome>((resolve) => {
    const error = clientError('LOAD_FAILED', `Loading took over ${READ_TIMEOUT_MS} ms`, undefined, 0, true)
    reading.signal.addEventListener('abort', () => resolve({ type: 'failed', error }))
  })
  const outcome = await nuxtApp.runWithContext(() => Promise.race([readState(reading.signal), timeout]))
  clearTimeout(timer)
  if (outcome.type === 'loaded') {
    const { data, position } = outcome
    onLoad!(data, { position })
    return { ...snapshot(), state: { position } }
  }
  if (isSharedPage(useRequestEvent(nuxtApp)!)) return undefined
  const { error } = outcome
  onState({ error })
  return { ...snapshot(), state: { error } }
}
