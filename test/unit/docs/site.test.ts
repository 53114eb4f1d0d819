import { readFile as readImage } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { declarationOf, expand, markersIn } from '../../../docs/.vitepress/generated.mjs'
import { SECTIONS, readPage } from '../../../docs/.vitepress/pages.mjs'
import { DIAGRAMS } from '../../../docs/diagrams/draw.mjs'
import { readBlocks, readPage as readFile, readPages } from '../../support/markdown'
import { rootDir } from '../../support/projects'

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

it('shows declarations that the source has', async () => {
  const markers = [...(await readPages()).values()].flatMap(markdown => markersIn(markdown, 'source'))
  expect(markers.length).toBeGreaterThan(15)
  for (const marker of markers) {
    const [file, ...names] = marker.split(' ')
    for (const name of names) expect(declarationOf(file, name.replace(',', '')), marker).toContain(name.replace(',', ''))
  }
})

it('shows functions with their comments and without their bodies, and classes without their private parts', () => {
  expect(declarationOf('src/runtime/server/wire/message.ts', 'sseMessage')).toMatch(/^\/\*\*[\s\S]+\*\/\nexport function sseMessage[^{]+\{ event: E \}\): [^\n]+\nexport function sseMessage/)
  expect(declarationOf('src/runtime/server/api/get-sse-position.ts', 'getSSEPosition')).toMatch(/: string \| undefined$/)
  expect(declarationOf('src/runtime/shared/errors.ts', 'SSEError')).not.toMatch(/#|this\./)
  expect(expand('a\n<!-- source: src/runtime/shared/types.ts SSETransport -->\nb')).toMatch(/^a\n```ts\n[^`]+'stream' \| 'poll'\n```\nb$/)
})

it.each(Object.entries(DIAGRAMS))('has %s as it is drawn', async (name, drawn) => {
  expect(await readFile(`docs/diagrams/${name}`)).toBe(drawn)
})

it('shows the same code under the same path on each page', async () => {
  const shown = new Map<string, { page: string, text: string }>()
  const contradictions: string[] = []
  for (const [page, markdown] of await readPages()) {
    for (const { file, text } of readBlocks(markdown)) {
      if (!file || file === 'nuxt.config.ts') continue
      const other = shown.get(file)
      if (other && other.text !== text) contradictions.push(`${file}: ${page} and ${other.page}`)
      shown.set(file, { page, text })
    }
  }
  expect(shown.size).toBeGreaterThan(50)
  expect(contradictions).toEqual([])
})

it('has a card for shared links, of the size that its pages name', async () => {
  const png = await readImage(join(rootDir, 'docs/public/card.png'))
  expect([png.toString('latin1', 1, 4), png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual(['PNG', 1_200, 630])
  const config = await readFile('docs/.vitepress/config.mjs')
  expect([...config.matchAll(/og:image:(width|height)', content: '(\d+)'/g)].map(([, side, size]) => [side, size])).toEqual([['width', '1200'], ['height', '630']])
})
