import { join } from 'node:path'
import { it } from 'vitest'
import { expectClientTestsPass } from '../support/client-tests'
import { rootDir } from '../support/projects'

const bin = (name: string) => join(rootDir, 'node_modules/.bin', name)

// For browsers, `engine-*.test.ts` has them.
it.concurrent.each([
  ['bun', [bin('bun'), '--bun']],
  ['deno', [bin('deno'), 'run', '--allow-all', '--no-prompt']],
])('openSSE passes its tests in %s', (runtime, command) => expectClientTestsPass(runtime, { config: 'client', command, files: 7 }), 120_000)
