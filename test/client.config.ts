import { defineConfig } from 'vitest/config'

/** Of `openSSE` alone, for runtimes that are not Node: e2e/client-runtimes.test.ts runs it with Bun and with Deno. */
export default defineConfig({
  test: {
    include: ['runtime', 'parser', 'open-sse', 'adversity', 'backoff', 'verdict', 'watchdog'].map(name => `test/unit/client/${name}.test.ts`),
    // What Bun and Deno both have; a process for each file is more than Bun can do for Vitest.
    pool: 'threads',
    testTimeout: 60_000,
  },
})
