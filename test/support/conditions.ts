import { vi } from 'vitest'

/**
 * Time that a loaded machine may add to a measured duration. An upper bound that includes it still tells what happens by itself from what
 * only a limit of half a minute would end.
 */
export const LOADED_MS = 15_000

/** Waits until `check` does not throw. Checks the condition often, instead of waiting for a fixed time. */
export function eventually(check: () => unknown, timeoutMs = 45_000): Promise<unknown> {
  return vi.waitFor(check, { timeout: timeoutMs, interval: 10 })
}
