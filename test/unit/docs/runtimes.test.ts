import { expect, it } from 'vitest'
import { testTitlesOf } from '../../support/declarations'
import { readPage, readTable } from '../../support/markdown'
import { nitroPresets } from '../../support/projects'

const page = await readPage('docs/contributing/runtime-tests.md')
const [, ...rows] = [[], ...readTable(page, 'What runs where')]
const tests = [...page.matchAll(/^(\d+)\. `([\w/.-]+)`: (.+)$/gm)].map(([, number, file, title]) => ({ number: Number(number), file: `test/${file}`, title: title! }))
const numbersIn = (text: string) => [...text.replaceAll(/`[^`]*`|\d+ s\b/g, '').matchAll(/\d+/g)].map(([number]) => Number(number))

it('has a column for each tested runtime', () => {
  const [heading] = /^\| \| (`.*`) \|$/m.exec(page)!.slice(1)
  expect(heading!.split(' | ')).toEqual(nitroPresets.map(preset => `\`${preset}\``))
  for (const row of rows) expect(row, row[0]).toHaveLength(nitroPresets.length + 1)
})

it('names a test in each cell, or the missing feature', () => {
  expect(rows.length).toBeGreaterThan(15)
  const known = new Set(tests.map(({ number }) => number))
  for (const [feature, ...cells] of rows) {
    for (const cell of cells) {
      expect(numbersIn(cell).filter(number => !known.has(number)), `${feature}: ${cell}`).toEqual([])
      if (numbersIn(cell).length === 0) expect(cell, feature).toMatch(/^(?:none|no signal|–)$/)
    }
  }
})

it('names existing tests, and all tests that each runtime must pass', () => {
  expect(tests.map(({ number }) => number)).toEqual(tests.map((_, index) => index + 1))
  expect(tests.filter(({ file, title }) => !testTitlesOf(file).includes(title))).toEqual([])
  const suite = 'test/support/runtime-suite.ts'
  const named = tests.filter(({ file }) => file === suite).map(({ title }) => title)
  expect(testTitlesOf(suite).filter(title => !named.includes(title))).toEqual([])
  const used = new Set(numbersIn(page.slice(0, page.indexOf('## Tests'))))
  expect(tests.filter(({ number }) => !used.has(number))).toEqual([])
})
