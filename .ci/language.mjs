// Counts phrases that make this project's English hard to read, in comments, error texts, test titles, README and docs: `npm run language`.
// An argument is another checkout, to compare with. `--docs` counts README and docs alone, and `--lines` prints what was found there.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import ts from 'typescript'

/** Each phrase, and what to write instead. Code in backticks is not counted. */
const PATTERNS = [
  ['"go on" (continue, resume, keep running)', /\b(?:go|goes|going|went|gone) on\b/gi],
  ['"who" as a noun (the client, the reader)', /(?:^|[.:;,(] |\b(?:of|for|to|by|from|and|or|but|with|as) )who\b|\bwhoever\b/gim],
  ['a what-clause as the subject', /(?:^|[.:;] |\n)What (?!is\b|does\b|are\b|if\b)[^.?\n]*? (?:is|are|was|were|has|have|must|can|may|will|would|stays?|goes|comes?)\b(?![^.]*\?)/gim],
  ['somebody, nobody, anybody, everybody', /\b(?:some|no|any|every)(?:body|one)\b(?! of)/gi],
  ['strangers', /\bstrangers?\b/gi],
  ['programs that tell', /\b(?:tells?|told|telling)\b/gi],
  ['programs that say', /\b(?:says?|said|saying)\b/gi],
  ['programs that ask (request)', /\b(?:asks?|asked|asking)\b/gi],
  ['"behind" for after', /\bbehind\b(?! (?:a|an|the|one|two|this|that|nginx|its|your)\b)/gi],
  ['"anew"', /\banew\b/gi],
  ['"come back" (reconnect)', /\b(?:come|comes|came|coming) back\b/gi],
  ['"let go of" (release, evict)', /\b(?:let|lets|letting) go of\b/gi],
  ['"mend" (fix)', /\bmend(?:s|ed|ing)?\b/gi],
  ['"for ever"', /\bfor ever\b/gi],
  ['docstrings that begin with Of, The same, Those, That, What, Has, Says', /^(?:Of|The same|Those|That|What|Has|Says)\b/g, 'docstring'],
]

const flags = process.argv.slice(2).filter(argument => argument.startsWith('--'))
const root = process.argv.slice(2).find(argument => !argument.startsWith('--')) ?? '.'
const counts = new Map(PATTERNS.map(([name]) => [name, 0]))

function count(text, kind) {
  const prose = text.replaceAll(/`[^`]*`/g, '``')
  for (const [name, pattern, only] of PATTERNS) {
    if (!only || only === kind) counts.set(name, counts.get(name) + (prose.match(pattern)?.length ?? 0))
  }
}

/** `/** … *\/` without its frame. */
function inner(comment) {
  return comment.replace(/^\/\*\*?|\*\/$|^\/\//g, '').split('\n').map(line => line.replace(/^\s*\*? ?/, '')).join('\n').trim()
}

function readSource(path) {
  const text = readFileSync(path, 'utf8')
  const code = path.endsWith('.vue') ? [...text.matchAll(/<script[^>]*>([\s\S]*?)<\/script>/g)].map(match => match[1]).join('\n') : text
  const source = ts.createSourceFile(path, code, ts.ScriptTarget.Latest, true, path.endsWith('.vue') ? ts.ScriptKind.TS : undefined)
  const seen = new Set()
  const visit = (node) => {
    for (const range of [...ts.getLeadingCommentRanges(code, node.getFullStart()) ?? [], ...ts.getTrailingCommentRanges(code, node.getEnd()) ?? []]) {
      if (seen.has(range.pos)) continue
      seen.add(range.pos)
      const comment = code.slice(range.pos, range.end)
      count(inner(comment), comment.startsWith('/**') ? 'docstring' : 'comment')
    }
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
      // Texts of errors and warnings, and titles of tests.
      const name = node.expression.getText(source)
      if (/Error$|Option$|^console\.|warn|^(?:it|describe|test)\b/i.test(name)) for (const argument of node.arguments ?? []) if (ts.isStringLiteralLike(argument) || ts.isTemplateExpression(argument)) count(argument.getText(source), 'text')
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
}

/** Prose of a page: without code and front matter. */
function readPage(page) {
  const text = readFileSync(join(root, page), 'utf8')
  const prose = text.replaceAll(/```[\s\S]*?```/g, '').replace(/^---\n[\s\S]*?\n---\n/, '')
  count(prose, 'page')
  if (!flags.includes('--lines')) return
  for (const [index, line] of prose.replaceAll(/`[^`\n]*`/g, '``').split('\n').entries()) {
    for (const [name, pattern, only] of PATTERNS) if (!only && line.match(pattern)) console.log(`${page}:${index + 1}: ${name}: ${line.trim()}`)
  }
}

if (!flags.includes('--docs')) {
  for (const path of globSync(['src/**/*.ts', 'test/**/*.ts', 'playground/**/*.{ts,vue}', 'bench/**/*.ts'], { cwd: root, exclude: name => /node_modules|\.output|\.nuxt|\.tmp/.test(name) })) readSource(join(root, path))
  for (const page of ['CONTRIBUTING.md', 'AGENTS.md', 'CHANGELOG.md']) readPage(page)
}
for (const page of ['README.md', ...globSync('docs/**/*.md', { cwd: root, exclude: name => /node_modules/.test(name) })]) readPage(page)

for (const [name, number] of counts) console.log(`${String(number).padStart(5)}  ${name}`)
console.log(`${String([...counts.values()].reduce((sum, number) => sum + number)).padStart(5)}  in all`)
