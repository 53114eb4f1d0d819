import { expect, it } from 'vitest'
import { membersOf } from '../../support/declarations'
import { readPage, readTable } from '../../support/markdown'

/** Members of `EngineUnderTest` that are no difference between browsers. */
const OTHERS = ['name', 'canGoOffline']

it('has a column for each engine under test, and a row for each difference that its tests know', async () => {
  const page = await readPage('docs/guide/browsers.md')
  const [heading] = /^\| \| (.*) \|$/m.exec(page)!.slice(1)
  const engines = ['Chromium', 'Firefox', 'WebKit']
  expect(heading!.split(' | ')).toEqual(engines)
  for (const name of engines) expect(await readPage(`test/e2e/engine-${name.toLowerCase()}.test.ts`)).toContain(`name: '${name.toLowerCase()}'`)
  const rows = readTable(page.split('\n## ')[0]!, 'Browsers')
  expect(rows).toHaveLength(membersOf('test/support/engine-suite.ts', 'EngineUnderTest').filter(name => !OTHERS.includes(name)).length)
})
