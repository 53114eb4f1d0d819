import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/**
 * Parts of pages that come from the source, put in when the site is built. In Markdown they are comments:
 * `<!-- source: src/file.ts name, … -->` becomes the declarations of these names, with their comments and without bodies, and
 * `<!-- tests: tag -->` the list of tests with the comment `// @guarantee tag`.
 */

const rootDir = fileURLToPath(new URL('../../', import.meta.url))
const MARKER = /^( *)<!-- (source|tests): (.+?) -->$/gm

export function expand(markdown) {
  return markdown.replaceAll(MARKER, (_, indent, kind, argument) => {
    const lines = kind === 'tests' ? testList(argument) : ['```ts', ...argument.split(' ').slice(1).flatMap(name => declarationOf(argument.split(' ')[0], name.replace(',', '')).split('\n')), '```']
    return lines.map(line => line && indent + line).join('\n')
  })
}

/** Arguments of all markers of a kind. */
export function markersIn(markdown, kind) {
  return [...markdown.matchAll(MARKER)].filter(match => match[2] === kind).map(match => match[3])
}

function parse(file) {
  return ts.createSourceFile(file, readFileSync(rootDir + file, 'utf8'), ts.ScriptTarget.Latest, true)
}

/** Public face of an interface, a type, a class or a function: its overloads, if it has some. */
export function declarationOf(file, name) {
  const source = parse(file)
  const found = source.statements.filter(statement => statement.name?.text === name)
  if (found.length === 0) throw new Error(`${file} has no ${name}.`)
  const overloads = found.filter(statement => !ts.isFunctionDeclaration(statement) || !statement.body)
  // The comment belongs to the first overload.
  return (overloads.length > 0 ? overloads : found).map(statement => printDeclaration(statement, source)).join('\n')
}

function printDeclaration(statement, source) {
  const text = source.text.slice(commentStart(statement), statement.end)
  if (ts.isFunctionDeclaration(statement) && statement.body) return source.text.slice(commentStart(statement), statement.body.pos).trimEnd()
  if (!ts.isClassDeclaration(statement)) return text
  const head = source.text.slice(commentStart(statement), statement.members.pos)
  const members = statement.members.filter(member => !ts.isPrivateIdentifier(member.name ?? member) && !member.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword))
  return [head, ...members.map(member => `  ${source.text.slice(commentStart(member), member.body?.pos ?? member.end).trimEnd()}`), '}'].join('\n')
}

function commentStart(node) {
  const comments = ts.getJSDocCommentsAndTags(node)
  return comments.length > 0 ? comments[0].pos : node.getStart()
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
