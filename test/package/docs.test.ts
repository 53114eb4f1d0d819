import { execFile } from 'node:child_process'
import { glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { rootDir } from '../support/projects'

/**
 * Every block of TypeScript and Vue in README and docs is a file of one application, which is type-checked: under the path
 * in its first line (`// server/api/clock.get.ts`, `<!-- app/app.vue -->`), else as a part of a file of the app or of the server.
 * Two blocks under one path must be the same: pages that contradict each other help nobody.
 */

const run = promisify(execFile)
const app = join(rootDir, 'test/fixtures/.docs')

/** What the texts take for granted. */
const STAND_INS: Record<string, string> = {
  'server/utils/stand-ins.ts': `
import type { H3Event } from 'h3'

export const bus = { on: (_name: string, _listener: (value: number) => void) => () => {} }
export const requireUser = async (_event: H3Event) => ({ id: '1' })
export const requireAccess = async (_event: H3Event, _id: string) => {}
export async function* writeReport(_id: string, _options: { signal: AbortSignal, from: number }) {
  yield { percent: 0 }
}
export const captureError = (_error: unknown, _about: object) => {}
export async function* answer(prompt: string, _signal?: AbortSignal) {
  yield { text: prompt }
}
`,
  'shared/types/stand-ins.ts': 'export interface Notice { title: string }\nexport interface Step { percent: number }\n',
  'server/utils/model.ts': 'import { MockLanguageModelV4 } from \'ai/test\'\n\nexport const model = new MockLanguageModelV4()\n',
  'app/utils/stand-ins.ts': 'export const prompt = \'Why?\'\n',
  'server/api/jobs/[id]/stream.get.ts': 'export default defineSSEHandler(event => useSSEChannel<{ percent: number }>(`job:${getRouterParam(event, \'id\')}`))\n',
  'server/api/chat.post.ts': 'export default defineSSEHandler(async event => answer((await readBody(event)).prompt))\n',
}

interface Block {
  /** Where it is written, for whoever has to mend it. */
  source: string
  path: string
  text: string
}

async function readBlocks(): Promise<Block[]> {
  const blocks: Block[] = []
  for await (const page of glob(['*.md', 'docs/**/*.md'], { cwd: rootDir })) {
    const markdown = await readFile(join(rootDir, page), 'utf8')
    for (const match of markdown.matchAll(/^( *)```(ts|vue)\n(.*?)^ *```$/gms)) {
      const [, indent, language, indented] = match as unknown as [string, string, 'ts' | 'vue', string]
      const text = indented.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
      const line = markdown.slice(0, match.index).split('\n').length
      const named = /^(?:\/\/|<!--) ([\w./[\]-]+\.(?:ts|vue))\b/.exec(text)?.[1]
      blocks.push({ source: `${page}:${line}`, path: named ?? unnamed(`${page}-${line}`.replaceAll(/\W/g, '-'), language, text), text })
    }
  }
  return blocks
}

function unnamed(name: string, language: 'ts' | 'vue', text: string): string {
  if (language === 'vue') return `app/components/${name}.vue`
  if (text.includes('defineNuxtConfig')) return 'nuxt.config.ts'
  if (/use(?:SSE|EventSource)\(|openSSE\(/.test(text)) return `app/blocks/${name}.ts`
  return `server/blocks/${name}.ts`
}

const sources: Record<string, string> = {}

beforeAll(async () => {
  await rm(app, { recursive: true, force: true })
  const files = new Map<string, string>()
  for (const [index, { source, path, text }] of (await readBlocks()).entries()) {
    // An application has one configuration; of those in the docs, each is checked for itself.
    const place = path === 'nuxt.config.ts' ? `configs/${index}.ts` : path
    if (files.has(place) && files.get(place) !== text) throw new Error(`${source} shows another ${place} than ${sources[place]}.`)
    files.set(place, text)
    sources[place] = source
  }
  for (const [path, text] of Object.entries(STAND_INS)) if (!files.has(path)) files.set(path, text)
  // From the sources, as another test may be packing `dist` just now.
  const alias = Object.fromEntries(['client', 'test'].map(name => [`nuxt-sse/${name}`, join(rootDir, `src/runtime/${name}/index`)]))
  files.set('nuxt.config.ts', `export default defineNuxtConfig({ modules: ['../../../src/module'], alias: ${JSON.stringify(alias)}, compatibilityDate: '2026-11-01', telemetry: false })\n`)
  files.set('tsconfig.configs.json', JSON.stringify({ extends: './.nuxt/tsconfig.node.json', include: ['configs', '.nuxt/nuxt.node.d.ts'] }))
  // Tests, and the application that they run, which is one for itself and has here the same Nitro.
  files.set('tsconfig.tests.json', JSON.stringify({ extends: './.nuxt/tsconfig.node.json', include: ['test/*.ts', '.nuxt/nuxt.node.d.ts'] }))
  files.set('tsconfig.test-app.json', JSON.stringify({ extends: './.nuxt/tsconfig.server.json', include: ['test/app/server', '.nuxt/types/nitro*.d.ts'] }))
  const references = [...['app', 'server', 'shared'].map(name => `./.nuxt/tsconfig.${name}.json`), './tsconfig.configs.json', './tsconfig.tests.json', './tsconfig.test-app.json']
  files.set('tsconfig.json', JSON.stringify({ files: [], references: references.map(path => ({ path })) }))
  for (const [path, text] of files) {
    await mkdir(dirname(join(app, path)), { recursive: true })
    // A block without an import or export would be a script, and share its names with all others.
    await writeFile(join(app, path), path.endsWith('.ts') && !/^(?:import|export) /m.test(text) ? `${text}export {}\n` : text)
  }
  await run(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'prepare', app], { cwd: rootDir })
})

afterAll(() => rm(app, { recursive: true, force: true }))

it('every block of code in README and docs is right', async () => {
  expect(Object.keys(sources).length).toBeGreaterThan(12)
  const problems = await run(process.execPath, ['node_modules/vue-tsc/bin/vue-tsc.js', '-b', '--noEmit', app], { cwd: rootDir }).then(() => '', (error: { stdout: string }) => error.stdout)
  expect(problems.replaceAll(/^\S*?fixtures\/\.docs\/([^(\s]+)/gm, (_, path: string) => `${sources[path] ?? 'stand-in'} (${path})`)).toBe('')
})
