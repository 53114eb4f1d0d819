import ts from 'typescript'
import { readBlocks, readPage } from './markdown'

/** Programs of a page of the documentation, for tests that run them. */

export interface Program {
  /** Where it is, for the report of a failure. */
  source: string
  text: string
}

/** Blocks of TypeScript under a heading. A label is a file's path, or a text in the block, such as `// Before`. */
export async function readPrograms(page: string, heading: string): Promise<(label: string) => Program> {
  const markdown = await readPage(page)
  const section = markdown.split(/^(?=## )/m).find(text => text.startsWith(`## ${heading}\n`))
  if (!section) throw new Error(`${page} has no heading "${heading}".`)
  const blocks = readBlocks(section).filter(({ language }) => language === 'ts')
  return (label) => {
    const block = blocks.find(({ file, text }) => file === label || text.includes(label))
    if (!block) throw new Error(`${page}, "${heading}" has no program "${label}".`)
    return { source: `${page}, ${heading}, ${label}`, text: block.text }
  }
}

/**
 * Runs a program. Names of `scope` stand for what is auto-imported, and those of `modules` for its imports. Returns its own top-level names,
 * with `default` for its default export.
 */
export function runProgram({ source, text }: Program, scope: Record<string, unknown>, modules: Record<string, unknown> = {}): Record<string, unknown> {
  const names = ts.createSourceFile('program.ts', text, ts.ScriptTarget.Latest).statements.flatMap(namesIn)
  const { outputText } = ts.transpileModule(text, { compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: false } })
  const load = (name: string) => {
    if (!(name in modules)) throw new Error(`${source} imports ${name}.`)
    return modules[name]
  }
  const exports: Record<string, unknown> = {}
  const run = new Function(...Object.keys(scope), 'exports', 'require', `${outputText}\nreturn { ${names.join(', ')} }`) as (...values: unknown[]) => Record<string, unknown>
  return { ...run(...Object.values(scope), exports, load), ...exports }
}

function namesIn(statement: ts.Statement): string[] {
  if (ts.isFunctionDeclaration(statement) && statement.name) return [statement.name.text]
  if (!ts.isVariableStatement(statement)) return []
  return statement.declarationList.declarations.flatMap(({ name }) => ts.isIdentifier(name) ? [name.text] : name.elements.flatMap(element => ts.isBindingElement(element) && ts.isIdentifier(element.name) ? [element.name.text] : []))
}
