import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { rootDir } from '../../support/projects'

/** The texts that the compiler prints for mistakes in calls of `useSSE`, by the line of the mistake. */

const MISTAKES: [call: string, error: RegExp][] = [
  [`useSSE('/api/chat', { on: { usages: () => {} } })`, /'usages' does not exist .* Did you mean to write 'usage'\?/],
  [`useSSE('/api/chat').on('usages', () => {})`, /Argument of type '"usages"' is not assignable/],
  [`useSSE('/api/chat', { keeep: 3 })`, /'keeep' does not exist .* Did you mean to write 'keep'\?/],
  [`useSSE<number>('/api/chat', { keeep: 3 })`, /'keeep' does not exist .* Did you mean to write 'keep'\?/],
  [`useSSE('/api/chats')`, /No route of this application streams \/api\/chats\. For a server behind it, name the type of the data, as in useSSE<Data>\(url\)\./],
  [`useSSE(() => '/api/chats')`, /No route of this application streams \/api\/chats\./],
  [`useSSE('/api/users')`, /No route of this application streams \/api\/users\./],
  [`useSSE('/api/chat', { method: 'POST' })`, /\/api\/chat does not stream by POST/],
  [`useSSE('/api/chat', { keep: ref(3) })`, /The option keep takes a value, and no ref\./],
  [`useSSE<number>('/api/chat', { keep: ref(3) })`, /The option keep takes a value, and no ref\./],
  [`useSSE('/api/chat', { share: ref('page' as const) })`, /The option share takes a value, and no ref\./],
  [`useSSE('/api/chat', { position: computed(() => 1) })`, /The option position takes a value, and no ref\./],
  [`useSSE('/api/chat', { onError: ref(() => {}) })`, /The option onError takes a value, and no ref\./],
  [`useSSE('/api/chat', { initial: ref(0) })`, /The option initial takes a value, and no ref\./],
]

const SOURCE = `import { computed, ref } from 'vue'
import { useSSE } from '../../src/runtime/app/composables/use-sse'
declare module 'nitropack/types' {
  interface InternalApi {
    '/api/chat': { get: { __sse: { id?: string, data: string } | { id?: string, event: 'usage', data: number } }, post: { ok: true } }
    '/api/users': { get: string[] }
  }
}
void [computed, ref]
`

function errorsOf(source: string): Map<number, string> {
  const file = join(rootDir, 'test/types/mistakes-of-this-test.ts')
  const config = ts.getParsedCommandLineOfConfigFile(join(rootDir, 'test/types/tsconfig.json'), {}, { ...ts.sys, onUnRecoverableConfigFileDiagnostic() {} })!
  const options = { ...config.options, noEmit: true, composite: false, incremental: false }
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists } = host
  host.fileExists = name => name === file || fileExists(name)
  host.getSourceFile = (name, ...rest) => name === file ? ts.createSourceFile(name, source, ts.ScriptTarget.Latest, true) : getSourceFile(name, ...rest)
  const program = ts.createProgram([file, ...config.fileNames.filter(name => name.endsWith('nuxt.d.ts'))], options, host)
  const diagnostics = program.getSemanticDiagnostics(program.getSourceFile(file))
  return new Map(diagnostics.map(({ file, start, messageText }) => [file!.getLineAndCharacterOfPosition(start!).line, ts.flattenDiagnosticMessageText(messageText, ' ')]))
}

describe('the compiler', () => {
  it('names the event, the option or the route that is misspelt, and the option that takes no ref', () => {
    const first = SOURCE.split('\n').length - 1
    const errors = errorsOf(SOURCE + MISTAKES.map(([call]) => call).join('\n'))
    for (const [index, [call, error]] of MISTAKES.entries()) expect(errors.get(first + index), call).toMatch(error)
    expect(errors.size).toBe(MISTAKES.length)
  })
})
