import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { renderTable } from './model/states'

it('docs/contributing/client-states.md has the table that the model test holds the client to', async () => {
  expect(await readFile('docs/contributing/client-states.md', 'utf8')).toContain(renderTable())
})
