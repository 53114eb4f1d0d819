import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { declarationOf, parse } from './declarations.mjs'

/**
 * Parts of pages that come from the source. `docs/write-reference.mjs` writes the declarations of the names after
 * `<!-- source: src/file.ts name, … -->`, up to `<!-- /source -->`, so that they can be read where the code is hosted.
 * `<!-- tests: tag -->` becomes the list of tests with the comment `// @guarantee tag` when the site is built.
 */

const rootDir = fileURLToPath(new URL('../../', import.meta.url))
const TESTS = /^( *)<!-- tests: (.+?) -->$/gm
const SOURCE = /^<!-- source: (.+?) -->\n(?:(?!<!-- \/?source\b).*\n)*<!-- \/source -->$/gm

export function expand(markdown) {
  return markdown.replaceAll(TESTS, (_, indent, tag) => testList(tag).map(line => line && indent + line).join('\n'))
}

/** The page with the declarations that the source has now. */
export function withDeclarations(markdown) {
  return markdown.replaceAll(SOURCE, (_, argument) => `<!-- source: ${argument} -->\n\`\`\`ts\n${declarationsOf(argument)}\n\`\`\`\n<!-- /source -->`)
}

function declarationsOf(argument) {
  const [file, ...names] = argument.split(/,? /)
  return names.map(name => declarationOf(file, name)).join('\n\n')
}

/** Arguments of all markers of a kind. */
export function markersIn(markdown, kind) {
  return [...markdown.matchAll(new RegExp(`^ *<!-- ${kind}: (.+?) -->$`, 'gm'))].map(([, argument]) => argument)
}

const TEST_FUNCTIONS = new Set(['it', 'test', 'describe'])

/** `it` of `it('…')`, and of `it.each([…])('…')`. */
function calleeOf(node) {
  let left = node
  while (ts.isCallExpression(left) || ts.isPropertyAccessExpression(left)) left = left.expression
  return ts.isIdentifier(left) ? left.text : ''
}

/** Tests and groups in a file: their titles, with `…` for values that are inserted at run time, and their tags. */
export function testsIn(file) {
  const source = parse(file)
  const tests = []
  const visit = (node) => {
    if (ts.isCallExpression(node) && TEST_FUNCTIONS.has(calleeOf(node))) {
      const title = titleOf(node.arguments[0])
      if (title !== undefined) tests.push({ title: title.replaceAll(/%[sdifjo#]/g, '…'), tags: tagsOf(node, source) })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return tests
}

function titleOf(node) {
  if (!node) return undefined
  if (ts.isStringLiteralLike(node)) return node.text
  return ts.isTemplateExpression(node) ? node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('') : undefined
}

/** Of the comments before the statement that the call belongs to. */
function tagsOf(call, source) {
  let statement = call
  while (!ts.isExpressionStatement(statement) && statement.parent) statement = statement.parent
  while (ts.isForOfStatement(statement.parent) || ts.isForInStatement(statement.parent) || ts.isIfStatement(statement.parent)) statement = statement.parent
  return (ts.getLeadingCommentRanges(source.text, statement.getFullStart()) ?? [])
    .flatMap(({ pos, end }) => /@guarantee ([\w, -]+)/.exec(source.text.slice(pos, end))?.[1]?.split(',') ?? [])
    .map(tag => tag.trim())
}

/** Tests of each tag, as `file: title`, with paths below `test/`. */
export function readGuarantees() {
  const byTag = new Map()
  for (const path of globSync('test/**/*.ts', { cwd: rootDir, exclude: name => /node_modules|fixtures|\.tmp/.test(name) }).sort()) {
    const file = path.replaceAll('\\', '/')
    if (!readFileSync(rootDir + file, 'utf8').includes('@guarantee ')) continue
    for (const { title, tags } of testsIn(file)) {
      for (const tag of tags) byTag.set(tag, [...byTag.get(tag) ?? [], { file: file.slice('test/'.length), title }])
    }
  }
  return byTag
}

let guarantees

function testList(tag) {
  guarantees ??= readGuarantees()
  const tests = guarantees.get(tag)
  if (!tests) throw new Error(`No test has the comment \`// @guarantee ${tag}\`.`)
  // In an element, so that a reader sees the statements first. Its lines are Markdown again.
  return ['<details>', `<summary>${tests.length === 1 ? '1 test' : `${tests.length} tests`}</summary>`, '', ...tests.map(({ file, title }) => `- \`${file}\`: ${title.replaceAll(/[<>{}*_`[\]\\|]/g, character => `&#${character.charCodeAt(0)};`)}`), '', '</details>']
}
