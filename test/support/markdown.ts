import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { slugify } from '../../docs/.vitepress/slug.mjs'
import { rootDir } from './projects'

/** Every page of the documentation, by its path in the repository. */
export async function readPages(): Promise<Map<string, string>> {
  const pages = new Map<string, string>()
  for await (const page of glob(['*.md', 'docs/**/*.md', 'bench/*.md'], { cwd: rootDir, exclude: ['docs/node_modules/**'] })) pages.set(page, await readPage(page))
  return new Map([...pages].sort())
}

export function readPage(page: string): Promise<string> {
  return readFile(join(rootDir, page), 'utf8')
}

/** Text without its code blocks, in which `#` is no heading and `](` no link. */
export function withoutCode(markdown: string): string {
  let inside = false
  return markdown.split('\n').filter((line) => {
    if (!/^ *```/.test(line)) return !inside
    inside = !inside
    return false
  }).join('\n')
}

export interface CodeBlock {
  language: string
  /** Path of the file: alone in the line above the block, `[in brackets]` after its language, or in its first comment. */
  file?: string
  text: string
  /** Line number of the first line of code in its page. */
  line: number
}

/** Blocks of code that a reader may copy: all but declarations of the source. */
export function readBlocks(page: string): CodeBlock[] {
  // Blank lines in their place, so that the others keep their line numbers.
  const markdown = page.replaceAll(/^<!-- source: .+?^<!-- \/source -->$/gms, declarations => declarations.replaceAll(/.+/g, ''))
  return [...markdown.matchAll(/^(?: *`([\w./[\]-]+\.\w+)`\n\n?)?( *)```([\w-]*)(?: \[([^\n]+)\])?\n(.*?)^\2```$/gms)].map(({ 0: block, 1: above, 2: indent, 3: language, 4: label, 5: code, index }) => {
    const text = code!.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
    const comment = /^(?:\/\/|<!--) ([\w./[\]-]+\.(?:ts|vue))\b/.exec(text)?.[1]
    const file = above ?? (label && /^[\w./[\]-]+\.\w+$/.test(label) ? label : comment)
    return { language: language!, ...file && { file }, text, line: markdown.slice(0, index + block.indexOf('```')).split('\n').length + 1 }
  })
}

/** Fragments that GitHub and the site give to headings, in their order. The second of two equal ones has a number. */
export function readAnchors(markdown: string): string[] {
  const seen = new Map<string, number>()
  return readHeadings(markdown).map(({ text }) => {
    const slug = slugify(text)
    const before = seen.get(slug) ?? 0
    seen.set(slug, before + 1)
    return before ? `${slug}-${before}` : slug
  })
}

function readHeadings(markdown: string): { level: number, text: string }[] {
  return [...withoutCode(markdown).matchAll(/^(#+) (.+)$/gm)].map(([, marks, text]) => ({ level: marks!.length, text: text!.trim() }))
}

/** Cells of all tables under a heading, up to the next of its level or above; without the rows that name the columns. */
export function readTable(markdown: string, heading: string): string[][] {
  const lines = withoutCode(markdown).split('\n')
  const start = lines.findIndex(line => line.replace(/^#+ /, '') === heading && line.startsWith('#'))
  if (start < 0) throw new Error(`There is no heading "${heading}".`)
  const level = /^#+/.exec(lines[start]!)![0].length
  const length = lines.slice(start + 1).findIndex(line => (/^(#+) /.exec(line)?.[1]?.length ?? 9) <= level)
  const section = lines.slice(start + 1, length < 0 ? undefined : start + 1 + length)
  return section
    .filter((line, index) => line.startsWith('|') && !isRule(line) && !isRule(section[index + 1] ?? ''))
    .map(line => line.split(/(?<!\\)\|/).slice(1, -1).map(cell => cell.trim().replaceAll('\\|', '|')))
}

function isRule(line: string): boolean {
  return /^\|[\s|:-]+\|$/.test(line)
}

/** Texts between backticks. */
export function codesIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!)
}
