import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { rootDir } from '../../support/projects'

const dir = join(rootDir, 'docs/public/playground')
const read = (path: string) => readFile(join(rootDir, path), 'utf8')

it('the pictures of the playground are small, and each that a page shows exists', async () => {
  const files = await readdir(dir)
  const sizes = await Promise.all(files.map(async file => (await stat(join(dir, file))).size))
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(1_500_000)
  const shown = [...(await read('docs/guide/playground.md')).matchAll(/public\/playground\/([\w.-]+)/g)].map(([, file]) => file!)
  expect(shown.length).toBeGreaterThan(8)
  expect(files).toEqual(expect.arrayContaining(shown))
})

it('the README opens with an animation that needs no script and no other file, and in which no message is missing', async () => {
  const [, path] = /!\[[^\]]+\]\(https:\/\/raw\.githubusercontent\.com\/nuxt-sse\/nuxt-sse\/main\/(docs\/public\/[\w./-]+\.svg)\)/.exec(await read('README.md'))!
  const svg = await read(path!)
  expect(Buffer.byteLength(svg)).toBeLessThan(300_000)
  // In `<img>`, an SVG runs no script and loads no file.
  expect(svg).not.toMatch(/<script|<image|href=|@import|url\((?!["']?#)/)
  expect(svg).toContain('prefers-reduced-motion')
  const reels = [...svg.matchAll(/<g class="reel value">(.+?)<\/g>/g)].map(([, texts]) => [...texts!.matchAll(/>([^<]+)</g)].map(([, text]) => text!))
  expect(reels).toHaveLength(3)
  const [statuses, received, missing] = reels as [string[], string[], string[]]
  // Six seconds, ten frames a second.
  for (const reel of reels) expect(reel).toHaveLength(61)
  expect(statuses.filter((status, index) => status !== statuses[index - 1])).toEqual(expect.arrayContaining(['● connected', '▲ reconnecting']))
  expect([statuses[0], statuses.at(-1)]).toEqual(['● connected', '● connected'])
  expect(Number(received.at(-1))).toBeGreaterThan(250)
  expect(new Set(missing)).toEqual(new Set(['0']))
})
