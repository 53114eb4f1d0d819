import { vi } from 'vitest'

/** Waits until `check` does not throw: the condition itself, looked at often, and no time that is hoped to be enough. */
export function eventually(check: () => unknown, timeoutMs = 20_000): Promise<unknown> {
  return vi.waitFor(check, { timeout: timeoutMs, interval: 10 })
}
