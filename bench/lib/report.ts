import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import type { Row, Table } from './row.ts'

const FILE = fileURLToPath(new URL('../../docs/contributing/benchmarks.md', import.meta.url))

/** Writes the table between the markers of the row in `docs/contributing/benchmarks.md`. Rows that were not run keep their tables. */
export function writeTable({ name, title }: Row, table: Table): void {
  const text = readFileSync(FILE, 'utf8')
  const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
  const block = `${begin}\n## ${title}\n\n${markdown(table)}\n\n${[table.note, machine(name)].filter(Boolean).join(' ')}\n${end}`
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  writeFileSync(FILE, from === -1 ? `${text.trimEnd()}\n\n${block}\n` : text.slice(0, from) + block + text.slice(to + end.length))
}

function markdown({ columns, rows }: Table): string {
  return [columns, columns.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

function machine(name: string): string {
  return `\`npm run bench -- ${name}\`, Node ${process.versions.node}, ${availableParallelism()} cores, ${new Date().toISOString().slice(0, 10)}.`
}
