import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { defineVitestProject } from '@nuxt/test-utils/config'
import { defineConfig } from 'vitest/config'
import { serverAliases } from './src/build/server-parts.ts'

/** For a hung test. What is only slow, on a machine that does other things as well, is no failure. */
const PATIENT = { testTimeout: 60_000, hookTimeout: 120_000 }

/** Properties with one seed, unless `SSE_RUNS` is set. */
const SEEDED = { setupFiles: ['./test/support/fixed-seed.ts'] }

/** These wait for servers, browsers and npm most of the time, so that more of them run at once, after the others, whose timers would be late beside them. */
const WAITING = { maxWorkers: 4, sequence: { groupOrder: 1 } }

/** As the module chooses them for a server on Node. */
const resolve = { alias: serverAliases({ redis: true, node: true }, path => fileURLToPath(new URL(`src/runtime/${path}`, import.meta.url))) }

export default defineConfig({
  test: {
    // Two cores: more workers than that only make timers late.
    maxWorkers: 2,
    reporters: process.env.VITEST_JSON ? ['default', ['json', { outputFile: process.env.VITEST_JSON }]] : ['default'],
    projects: [
      { resolve, test: { name: 'unit', include: ['test/unit/**/*.test.ts'], ...PATIENT, ...SEEDED } },
      { resolve, test: { name: 'http', include: ['test/http/**/*.test.ts'], ...PATIENT, ...SEEDED } },
      { resolve, test: { name: 'drivers', include: ['test/drivers/**/*.test.ts'], ...PATIENT, ...SEEDED } },
      { test: { name: 'types', include: [], typecheck: { enabled: true, only: true, include: ['test/types/**/*.test-d.ts'], checker: 'vue-tsc', tsconfig: 'test/types/tsconfig.json' } } },
      await defineVitestProject({
        resolve,
        test: { name: 'nuxt', include: ['test/nuxt/**/*.test.ts'], environment: 'nuxt', ...PATIENT, ...SEEDED },
      }),
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: process.env.SSE_NO_BUILD ? [] : ['./test/e2e/build-fixtures.ts'],
          ...PATIENT,
          testTimeout: 120_000,
          ...WAITING,
        },
      },
      // As in an application: examples of the docs import it.
      { resolve: { alias: { ...resolve.alias, 'nuxt-sse/test': fileURLToPath(new URL('src/runtime/test/index.ts', import.meta.url)) } }, test: { name: 'package', include: ['test/package/**/*.test.ts'], exclude: process.env.SSE_MANAGERS ? [] : ['test/package/managers.test.ts'], globalSetup: ['./test/package/pack.ts'], testTimeout: 600_000, hookTimeout: 600_000, ...WAITING } },
    ],
  },
})
