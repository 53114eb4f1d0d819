import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { rootDir } from './projects'

/** What the source declares, read from its syntax: what documentation is compared with. */

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(join(rootDir, file), 'utf8'), ts.ScriptTarget.Latest, true)
}

/** Names of the properties and methods that an interface declares itself. */
export function membersOf(file: string, name: string): string[] {
  const found = parse(file).statements.find((node): node is ts.InterfaceDeclaration => ts.isInterfaceDeclaration(node) && node.name.text === name)
  if (!found) throw new Error(`${file} has no interface ${name}.`)
  return found.members.flatMap(({ name }) => name && (ts.isIdentifier(name) || ts.isStringLiteral(name)) ? name.text : [])
}

/** The texts in a union of literals. */
export function literalsOf(file: string, name: string): string[] {
  const found = parse(file).statements.find((node): node is ts.TypeAliasDeclaration => ts.isTypeAliasDeclaration(node) && node.name.text === name)
  if (!found) throw new Error(`${file} has no type ${name}.`)
  return textsIn(found)
}

/** Every text in a file that is written as one. */
export function textsOf(file: string): string[] {
  return textsIn(parse(file))
}

function textsIn(root: ts.Node): string[] {
  const texts: string[] = []
  const visit = (node: ts.Node) => {
    if (ts.isStringLiteralLike(node)) texts.push(node.text)
    ts.forEachChild(node, visit)
  }
  visit(root)
  return texts
}

const TEST_FUNCTIONS = new Set(['it', 'test', 'describe'])

/** `it` of `it('…')`, and of `it.each([…])('…')`. */
function calleeOf(node: ts.Expression): string {
  let left = node
  while (ts.isCallExpression(left) || ts.isPropertyAccessExpression(left)) left = left.expression
  return ts.isIdentifier(left) ? left.text : ''
}

/** Titles of the tests in a file, and of groups of them, `…` for what is put in when they run. */
export function testTitlesOf(file: string): string[] {
  const titles: string[] = []
  const visit = (node: ts.Node) => {
    if (ts.isCallExpression(node) && TEST_FUNCTIONS.has(calleeOf(node))) {
      const [title] = node.arguments
      if (title && ts.isStringLiteralLike(title)) titles.push(title.text)
      else if (title && ts.isTemplateExpression(title)) titles.push(title.head.text + title.templateSpans.map(({ literal }) => `…${literal.text}`).join(''))
    }
    ts.forEachChild(node, visit)
  }
  visit(parse(file))
  return titles.map(title => title.replaceAll(/%[sdifjo#]/g, '…'))
}
