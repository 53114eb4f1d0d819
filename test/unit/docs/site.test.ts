import { expect, it } from 'vitest'
import { SECTIONS, readPage } from '../../../docs/.vitepress/pages.mjs'
import { readPages } from '../../support/markdown'

const pages = [...(await readPages()).keys()].filter(page => page.startsWith('docs/')).map(page => page.slice('docs/'.length))

it('has every page in the sidebar, once', () => {
  const listed = SECTIONS.flatMap(section => section.pages)
  expect(pages.length).toBeGreaterThan(20)
  expect([...listed].sort()).toEqual([...pages].sort())
})

it.each(pages)('has the title and the description of %s', (path) => {
  const { title, description, text } = readPage(path)
  expect(text).toMatch(/^# (.+)$/m)
  expect(/^# (.+)$/m.exec(text)![1]!.replaceAll('`', '')).toBe(title.replaceAll('`', ''))
  expect(description.length).toBeGreaterThan(20)
  expect(description.length).toBeLessThanOrEqual(160)
})
