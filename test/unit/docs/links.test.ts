import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, it } from 'vitest'
import { readAnchors, readPages, withoutCode } from '../../support/markdown'
import { rootDir } from '../../support/projects'

/** This repository where it is hosted. The README is shown there, in registries and in packages, so it needs absolute URLs. */
const HOSTED = /^https:\/\/(?:github\.com\/nuxt-sse\/nuxt-sse\/blob|raw\.githubusercontent\.com\/nuxt-sse\/nuxt-sse)\/main\//

/** Links between pages, and images: `[text](page.md#heading)`, `<img src="…">`. The test sends no requests to other hosts. */
function linksIn(markdown: string): string[] {
  const text = withoutCode(markdown).replaceAll(/`[^`\n]*`/g, '')
  return [...text.matchAll(/\]\(([^)\s]+)\)/g), ...text.matchAll(/(?:src|srcset|href)="([^"]+)"/g)].map(([, link]) => link!.replace(HOSTED, '/')).filter(link => !/^[a-z]+:/.test(link))
}

/** Path of a link's target in the repository. */
const targetOf = (page: string, path: string) => path.startsWith('/') ? path.slice(1) : normalize(join(dirname(page), path))

it('links between pages lead to an existing page and heading', async () => {
  const pages = await readPages()
  const broken: string[] = []
  let count = 0
  for (const [page, markdown] of pages) {
    for (const link of linksIn(markdown)) {
      count++
      const [path, fragment] = link.split('#') as [string, string | undefined]
      const target = path ? targetOf(page, path) : page
      if (!existsSync(join(rootDir, target))) broken.push(`${page}: ${link}: there is no ${target}`)
      else if (fragment !== undefined && !readAnchors(pages.get(target) ?? '').includes(fragment)) broken.push(`${page}: ${link}: ${target} has no such heading`)
    }
  }
  expect(count).toBeGreaterThan(40)
  expect(broken).toEqual([])
})

it('every page can be reached from README', async () => {
  const pages = await readPages()
  const reached = new Set<string>()
  const queue = ['README.md']
  for (let page = queue.pop(); page; page = queue.pop()) {
    if (reached.has(page) || !pages.has(page)) continue
    reached.add(page)
    const from = page
    queue.push(...linksIn(pages.get(page)!).map(link => targetOf(from, link.split('#')[0] || '.')))
  }
  expect([...pages.keys()].filter(page => page.startsWith('docs/') && !reached.has(page))).toEqual([])
})

it('distinguishes headings with the same words', () => {
  expect(readAnchors('# `run(a, { b? })`\n## Same\n### Same\n```\n# none\n```\n## [A *b*](c.md) – d')).toEqual(['runa--b-', 'same', 'same-1', 'a-b--d'])
})
