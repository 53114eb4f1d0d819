import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { withRequest } from '../../src/pass-request-on'
import { rootDir } from '../support/projects'

it.each([['bun/runtime/bun', 'req'], ['deno/runtime/deno-server', 'request']])('hands the request of %s on', async (entry, name) => {
  const code = await readFile(join(rootDir, `node_modules/nitropack/dist/presets/${entry}.mjs`), 'utf8')
  const added = `context: { _platform: { sseRequest: ${name} } }, `
  expect(withRequest(code)?.replace(added, '')).toBe(code)
})

it.each(['', 'headers: req.headers, body, headers: req.headers', 'context: {}, headers: req.headers'])('leaves an entry alone that is not as expected: %s', (code) => {
  expect(withRequest(code)).toBeUndefined()
})
