import { beforeAll, expect, it } from 'vitest'
import { markersIn, readGuarantees } from '../../../docs/.vitepress/generated.mjs'
import { readPage } from '../../support/markdown'

let listed: string[]
let page: string
let tests: Map<string, { file: string, title: string }[]>
beforeAll(async () => {
  page = await readPage('docs/contributing/guarantees.md')
  listed = markersIn(page, 'tests')
  tests = readGuarantees()
}, 60_000)

it('every promise and every pitfall has a tag of its own, which the page shows', () => {
  expect(listed.length).toBeGreaterThan(50)
  expect(new Set(listed).size).toBe(listed.length)
  expect(listed.filter(tag => !page.includes(`\`${tag}\`: `))).toEqual([])
})

it('every tag of the page has a test', () => {
  expect(listed.filter(tag => !tests.has(tag))).toEqual([])
  expect([...tests.values()].flat().length).toBeGreaterThan(150)
})

it('every tag in a test is on the page', () => {
  const unknown = [...tests].filter(([tag]) => !listed.includes(tag)).map(([tag, [test]]) => `${tag}: ${test!.file}`)
  expect(unknown).toEqual([])
})
