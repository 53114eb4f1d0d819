import { fileURLToPath } from 'node:url'
import process from 'node:process'
import { playwright } from '@vitest/browser-playwright'
import { defineConfig } from 'vitest/config'
import { ARGS, chromiumPath } from './support/chromium-args.ts'
import { engineProvider } from './support/engine-provider.ts'
import type { EngineName } from './support/engines.ts'

const remote = fileURLToPath(new URL('support/remote-scripted-server.ts', import.meta.url))
const engine = process.env.SSE_TEST_RUNTIME as EngineName

/** Of `openSSE` in a browser engine: its tests of parsing and of reconnects run inside the page. support/engine-suite.ts runs it. */
export default defineConfig({
  plugins: [{ name: 'remote-server', enforce: 'pre', resolveId: source => /\/support\/scripted-server$/.test(source) ? remote : undefined }],
  test: {
    include: ['test/unit/client/parser.test.ts', 'test/http/client/open-sse.test.ts', 'test/http/client/adversity.test.ts', 'test/http/client/waking.test.ts', 'test/http/client/gate.test.ts', 'test/unit/client/backoff.test.ts'],
    testTimeout: 60_000,
    globalSetup: ['test/support/remote-control.ts'],
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      // As long as a loaded machine takes.
      connectTimeout: 180_000,
      provider: engine === 'chromium' ? playwright({ launchOptions: { executablePath: chromiumPath(), args: ARGS } }) : engineProvider(engine),
      instances: [{ browser: engine }],
    },
  },
})
