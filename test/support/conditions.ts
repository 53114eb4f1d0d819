import { vi } from 'vitest'

/** Waits until `check` does not throw. Checks the condition often, instead of waiting for a fixed time. */
export function eventually(check: () => unknown, timeoutMs = 45_000): Promise<unknown> {
  return vi.waitFor(check, { timeout: timeoutMs, interval: 10 })
}
