import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { readBlocks, readPages } from '../../support/markdown'

/** Blocks of code that are no TypeScript: of that, test/package/docs.test.ts takes care. */

const run = promisify(execFile)

/** What is checked here or there, or is only to be read: what a server answers, trees, commands of other people's tools. */
const LANGUAGES = ['ts', 'vue', 'sh', 'nginx', 'json', 'yaml', 'dockerfile', 'caddy', '']

const blocks = [...await readPages()].flatMap(([page, markdown]) => readBlocks(markdown).map(block => ({ ...block, name: `${page}:${block.line}` })))

function blocksIn(language: string) {
  const found = blocks.filter(block => block.language === language)
  expect(found.length, language).toBeGreaterThan(0)
  return found
}

describe('blocks of code in README and docs', () => {
  it('are in languages that somebody checks', () => {
    expect(blocks.filter(({ language }) => !LANGUAGES.includes(language)).map(({ name, language }) => `${name}: ${language}`)).toEqual([])
  })

  it('of nginx are what nginx takes', async () => {
    for (const { name, text } of blocksIn('nginx')) {
      const dir = await mkdtemp(join(tmpdir(), 'nuxt-sse-nginx-'))
      try {
        await writeFile(join(dir, 'nginx.conf'), `pid ${dir}/pid;\nevents {}\nhttp {\n  access_log off;\n  ${text.includes('server {') ? text : `server {\n    listen 127.0.0.1:8080;\n${text}}`}\n}\n`)
        const said = await run('nginx', ['-t', '-q', '-e', 'stderr', '-p', dir, '-c', join(dir, 'nginx.conf')]).then(({ stderr }) => stderr, (error: { stderr: string }) => error.stderr)
        expect(said, name).toBe('')
      }
      finally {
        await rm(dir, { recursive: true, force: true })
      }
    }
  })

  it('of JSON and YAML can be parsed', () => {
    for (const { name, text } of blocksIn('json')) expect(() => JSON.parse(text), name).not.toThrow()
    for (const { name, text } of blocksIn('yaml')) expect(parseYaml(text), name).toBeTypeOf('object')
  })

  it('of a shell can be parsed', async () => {
    for (const { name, text } of blocksIn('sh')) await expect(run('sh', ['-n', '-c', text]), name).resolves.toBeTruthy()
  })
})
