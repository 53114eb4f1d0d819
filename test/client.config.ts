import { defineConfig } from 'vitest/config'

/** Of `openSSE` alone, for runtimes that are not Node: e2e/client-runtimes.test.ts runs it with Bun and with Deno. */
export default defineConfig({
  test: {
    include: ['test/unit/client/runtime.test.ts', 'test/unit/client/parser.test.ts', 'test/http/client/open-sse.test.ts', 'test/http/client/adversity.test.ts', 'test/unit/client/backoff.test.ts', 'test/http/client/verdict.test.ts', 'test/http/client/watchdog.test.ts'],
    // What Bun and Deno both have; a process for each file is more than Bun can do for Vitest.
    pool: 'threads',
    testTimeout: 60_000,
  },
})
