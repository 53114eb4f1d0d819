import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expand } from './generated.mjs'
import { linkOf, sections } from './pages.mjs'

/** `llms.txt` (https://llmstxt.org): every page with its description. `llms-full.txt`: all pages as one text. */
export function writeLlmsTexts({ outDir, site }) {
  const url = path => `${site.base.replace(/\/$/, '')}${linkOf(path) === '/' ? '/index' : linkOf(path)}.html`
  const list = sections().map(({ text, pages }) => `## ${text}\n\n${pages.map(page => `- [${page.title}](${url(page.path)}): ${page.description}`).join('\n')}`)
  writeFileSync(join(outDir, 'llms.txt'), `# ${site.title}\n\n> ${site.description}\n\nThe whole documentation as one text: ${site.base}llms-full.txt\n\n${list.join('\n\n')}\n`)
  writeFileSync(join(outDir, 'llms-full.txt'), `${sections().flatMap(({ pages }) => pages).map(page => `<!-- ${page.path} -->\n\n${expand(page.text).trim()}\n`).join('\n\n')}`)
}
