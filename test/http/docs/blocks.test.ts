import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { compileStyle } from 'vue/compiler-sfc'
import { parse as parseYaml } from 'yaml'
import { readBlocks, readPages } from '../../support/markdown'
import { startNginx } from '../../support/nginx'
import { SSEReader } from '../../support/read-sse'
import { startSSEServer } from '../../support/sse-server'

/** Blocks of code that are not TypeScript; test/package/docs.test.ts checks those that are. */

const run = promisify(execFile)

/** Languages checked here or there, or only for reading: answers of a server, trees, commands of other tools. */
const LANGUAGES = ['ts', 'vue', 'css', 'sh', 'nginx', 'json', 'yaml', 'dockerfile', 'caddy', '']

const blocks = [...await readPages()].flatMap(([page, markdown]) => readBlocks(markdown).map(block => ({ ...block, name: `${page}:${block.line}` })))

function blocksIn(language: string) {
  const found = blocks.filter(block => block.language === language)
  expect(found.length, language).toBeGreaterThan(0)
  return found
}

describe('blocks of code in README and docs', () => {
  it('are in languages that a test checks', () => {
    expect(blocks.filter(({ language }) => !LANGUAGES.includes(language)).map(({ name, language }) => `${name}: ${language}`)).toEqual([])
  })

  it('of CSS can be parsed', () => {
    for (const { name, text } of blocksIn('css')) expect(compileStyle({ source: text, filename: name, id: 'docs' }).errors, name).toEqual([])
  })

  it('of nginx are valid for nginx, and let a stream through unbuffered', async () => {
    const server = await startSSEServer()
    const channel = server.channel<number>('feed')
    server.route('/', () => channel)
    try {
      for (const { name, text } of blocksIn('nginx')) {
        const nginx = await startNginx((port) => {
          const here = text.replaceAll(/127\.0\.0\.1:300\d/g, new URL(server.url).host)
          if (here.includes('listen ')) return here.replace('127.0.0.1:8080', `127.0.0.1:${port}`)
          const site = (inner: string) => `server {\n listen 127.0.0.1:${port};\n${inner}}`
          // Directives that belong beside a site, in front of one that does nothing else.
          return here.includes('location ') ? site(here) : `${here}\n${site(`location / { proxy_pass ${server.url}; }`)}`
        })
        try {
          const reader = await SSEReader.open(`${nginx.url}/?position=now`)
          await reader.until(({ controls }) => controls.length === 1)
          await channel.publish(1)
          await reader.until(({ data }) => data.length === 1)
          expect(reader.response.headers.get('content-encoding'), name).toBeNull()
          await reader.close()
        }
        finally {
          await nginx.stop()
        }
      }
    }
    finally {
      await server.close()
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
