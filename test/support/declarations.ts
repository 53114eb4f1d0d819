import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { testsIn } from '../../docs/.vitepress/generated.mjs'
import { rootDir } from './projects'

/** Declarations of the source, read from its syntax. Tests compare the documentation with them. */

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(join(rootDir, file), 'utf8'), ts.ScriptTarget.Latest, true)
}

/** Names of the properties and methods that an interface declares itself. */
export function membersOf(file: string, name: string): string[] {
  const found = parse(file).statements.find((node): node is ts.InterfaceDeclaration => ts.isInterfaceDeclaration(node) && node.name.text === name)
  if (!found) throw new Error(`${file} has no interface ${name}.`)
  return found.members.flatMap(({ name }) => name && (ts.isIdentifier(name) || ts.isStringLiteral(name)) ? name.text : [])
}

/** Texts in a union of literals. */
export function literalsOf(file: string, name: string): string[] {
  const found = parse(file).statements.find((node): node is ts.TypeAliasDeclaration => ts.isTypeAliasDeclaration(node) && node.name.text === name)
  if (!found) throw new Error(`${file} has no type ${name}.`)
  return textsIn(found)
}

/** All string literals in a file. */
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

/** Titles of the tests and groups in a file, with `…` for values that are inserted at run time. */
export function testTitlesOf(file: string): string[] {
  return testsIn(file).map(({ title }) => title)
}
