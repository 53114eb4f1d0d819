import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { declarationOf } from '../../../docs/.vitepress/declarations.mjs'
import { markersIn, withDeclarations } from '../../../docs/.vitepress/generated.mjs'
import { SERVER_IMPORTS } from '../../../src/build/server-parts'
import { readBlocks, readPages } from '../../support/markdown'
import { rootDir } from '../../support/projects'

/** Signatures and types in the pages: current, and complete. `npm run docs:reference` writes them. */

const RUNTIME = 'src/runtime'
const ENTRIES = ['server/api/index', 'client/index', 'publisher/index', 'test/index', 'ai/index', 'ai/server-entry'].map(path => `${RUNTIME}/${path}.ts`)

const pages = await readPages()

/** Every shown declaration, as `file name`, with its pages. */
const shown = new Map<string, string[]>()
for (const [page, markdown] of pages) {
  for (const marker of markersIn(markdown, 'source')) {
    const [file, ...names] = marker.split(/,? /)
    for (const name of names) shown.set(`${file} ${name}`, [...shown.get(`${file} ${name}`) ?? [], page])
  }
}

interface Exported { file: string, name: string, isType: boolean }

/** Names that an entry exports, with the files that declare them. */
function exportsOf(entry: string): Exported[] {
  return ts.createSourceFile(entry, readFileSync(join(rootDir, entry), 'utf8'), ts.ScriptTarget.Latest).statements.flatMap((statement) => {
    if (!ts.isExportDeclaration(statement) || !statement.exportClause || !ts.isNamedExports(statement.exportClause)) return []
    const file = `${join(dirname(entry), (statement.moduleSpecifier as ts.StringLiteral).text)}.ts`
    return statement.exportClause.elements.map(({ name }) => ({ file, name: name.text, isType: statement.isTypeOnly }))
  })
}

const exported = [
  ...ENTRIES.flatMap(exportsOf),
  ...SERVER_IMPORTS.map(([name, path]) => ({ file: `${RUNTIME}/${path}.ts`, name: name as string, isType: false })),
  { file: `${RUNTIME}/app/use-sse-signatures.ts`, name: 'UseSSE', isType: true },
  { file: `${RUNTIME}/app/reduce-sse-presence.ts`, name: 'reduceSSEPresence', isType: false },
  { file: `${RUNTIME}/app/call.ts`, name: 'UseSSEOptions', isType: true },
  { file: `${RUNTIME}/app/call.ts`, name: 'UseSSEReturn', isType: true },
  { file: 'src/build/options.ts', name: 'ModuleOptions', isType: true },
]

describe('declarations of the source in the reference', () => {
  it.each([...pages].filter(([, markdown]) => markdown.includes('<!-- source:')).map(([page]) => page))('are current in %s (else: npm run docs:reference)', (page) => {
    const markdown = pages.get(page)!
    expect(markdown.match(/^<!-- \/source -->$/gm)).toHaveLength(markersIn(markdown, 'source').length)
    expect(markdown).toBe(withDeclarations(markdown))
  })

  it('have every public function, and every public type', () => {
    expect(exported.length).toBeGreaterThan(120)
    expect(exported.map(({ file, name }) => `${file} ${name}`).filter(key => !shown.has(key))).toEqual([])
  })

  it('have one place each', () => {
    expect([...shown].filter(([, places]) => places.length > 1)).toEqual([])
  })

  it('of functions have an example in the same section', () => {
    const functions = exported.filter(({ isType }) => !isType)
    const without = functions.filter(({ file, name }) => {
      const markdown = pages.get(shown.get(`${file} ${name}`)![0]!)!
      const section = markdown.split(/^(?=## )/m).find(text => markersIn(text, 'source').some(marker => marker.startsWith(`${file} ${name}`)))!
      return !readBlocks(section).some(({ text }) => text.includes(name))
    })
    expect(without.map(({ name }) => name)).toEqual([])
  })
})

describe('a declaration', () => {
  it('of a function is its overloads without bodies, and the tags of its comment', () => {
    expect(declarationOf('src/runtime/server/wire/message.ts', 'sseMessage')).toMatch(/^function sseMessage[^{]+\{ event: E \},\n\): [^\n]+\nfunction sseMessage/)
    expect(declarationOf('src/runtime/server/api/get-sse-position.ts', 'getSSEPosition')).toMatch(/^\/\*\* @throws [^\n]+ \*\/\nfunction getSSEPosition\(event: H3Event\): string \| undefined$/)
  })

  it('has optional parameters in place of default values and patterns', () => {
    expect(declarationOf('src/runtime/server/api/define-sse-metrics-handler.ts', 'defineSSEMetricsHandler')).toMatch(/\(options\?: SSEMetricsHandlerOptions\): EventHandler$/)
    expect(declarationOf('src/runtime/test/sse-reader.ts', 'SSEReader')).toContain('timeoutMs?: number): Promise<this>')
  })

  it('of a class is its public face', () => {
    const text = declarationOf('src/runtime/shared/errors.ts', 'SSEError')
    expect(text).toMatch(/^\/\*\*.*?\*\/\nclass SSEError extends Error \{\n/s)
    expect(text).not.toMatch(/#|this\.|super|export/)
  })

  it('has the words of its comments, wrapped', () => {
    const file = 'src/runtime/server/drivers/redis/connection/client.ts'
    const text = declarationOf(file, 'CreateRedisClient')
    const words = (comment: string) => comment.replaceAll(/^\s*\* ?/gm, '').split(/\s+/).filter(Boolean)
    const [, written] = /\/\*\*(.*?)\*\//s.exec(text)!
    const source = readFileSync(join(rootDir, file), 'utf8')
    expect(words(written!)).toEqual(words(/\/\*\*((?:(?!\*\/).)*)\*\/\nexport type CreateRedisClient/s.exec(source)![1]!))
    for (const line of written!.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
    expect(declarationOf('src/runtime/server/drivers/types.ts', 'LogNotice')).toMatch(/^ \* - `append` may .*\n \* with that\.\n \* - `changed` means/m)
  })

  it('that does not exist is an error', () => {
    expect(() => declarationOf('src/runtime/shared/errors.ts', 'NoSuchName')).toThrow('has no NoSuchName')
  })
})
