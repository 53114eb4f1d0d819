import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { testTitlesOf } from '../support/declarations'
import { readPage, readTable } from '../support/markdown'
import type { Check, Checks } from './peers/check'
import { BETTER_SSE, H3, OURS, RESUMABLE_STREAM, UPSTASH, VUEUSE } from './peers/check'
import { clientChecks, closeBrowser } from './peers/client-checks'
import { serverChecks } from './peers/server-checks'

/** Compares the table in docs/guide/comparison.md with the behaviour of the installed libraries and of this module. */

const PAGE = 'docs/guide/comparison.md'

const PEERS = [OURS, H3, VUEUSE, BETTER_SSE, RESUMABLE_STREAM, UPSTASH]
/** Rows in words, which no check can compare. */
const IN_WORDS = ['Part', 'Runs outside Nuxt', 'Requires']

const text = 'the code, and its types'
const checks: Checks = {
  ...serverChecks,
  ...clientChecks,
  'Types messages from server to client': {
    [OURS]: { yes: 'test/types/use-sse.test-d.ts: come from the route, for every form of its url' },
    [H3]: { no: 'h3: `push` takes texts' },
    [VUEUSE]: { no: '@vueuse/core: `Data` is what the caller says' },
    [BETTER_SSE]: { no: 'better-sse: `push(data: unknown)`' },
    [RESUMABLE_STREAM]: { no: 'resumable-stream: `ReadableStream<string>`' },
    [UPSTASH]: { yes: 'client/provider.d.ts: `createRealtime<T>`' },
  },
  'Validates data with a schema': {
    [OURS]: { yes: 'test/http/channel/schemas.test.ts: refuses data that does not fit, keeps none of it, and names where' },
    [H3]: { no: text },
    [VUEUSE]: { no: text },
    [BETTER_SSE]: { no: text },
    [RESUMABLE_STREAM]: { no: text },
    [UPSTASH]: { yes: 'server/realtime.js: `z.parse(schema, data)`' },
  },
}

const rows = readTable(await readPage(PAGE), 'Features').map(([row, ...cells]) => ({ row: row!, cells }))

afterAll(() => closeBrowser())

it('every row of the table is checked, and no other', () => {
  expect(rows.map(({ row }) => row).filter(row => !IN_WORDS.includes(row))).toEqual(expect.arrayContaining(Object.keys(checks)))
  expect(rows.length).toBe(Object.keys(checks).length + IN_WORDS.length)
})

describe.each(rows.filter(({ row }) => !IN_WORDS.includes(row)))('$row', ({ row, cells }) => {
  it.each(PEERS.map((peer, index) => ({ peer, cell: cells[index]! })))('$peer: $cell', async ({ peer, cell }) => {
    const check = checks[row]?.[peer]
    expect(said(cell)).toBe(check && await known(check))
  })
})

function said(cell: string): boolean | undefined {
  const word = /^(?:yes|no|–)/.exec(cell)?.[0]
  if (!word) throw new Error(`Expected a cell that begins with yes, no or –, got "${cell}".`)
  return word === '–' ? undefined : word === 'yes'
}

async function known(check: Check): Promise<boolean> {
  if (typeof check === 'function') return check()
  const [, file, title] = /^(test\/\S+): (.*)$/.exec(Object.values(check)[0]!) ?? []
  if (file) expect(testTitlesOf(file)).toContain(title)
  return 'yes' in check
}

it('the versions under the table are the installed ones', async () => {
  const markdown = await readPage(PAGE)
  for (const name of ['h3', '@vueuse/core', 'better-sse', 'resumable-stream']) {
    // Its package.json may not be among its exports.
    const path = createRequire(import.meta.url).resolve.paths(name)!.map(dir => join(dir, name, 'package.json')).find(existsSync)!
    const { version } = createRequire(import.meta.url)(path) as { version: string }
    expect(markdown).toContain(`${name} ${version}`)
  }
})
