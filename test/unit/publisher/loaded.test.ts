import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { build } from 'vite'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { rootDir } from '../../support/projects'

/** What `nuxt-sse/publisher` loads: bundled with every package left out, so that each import of one is visible. */

let dir: string
let files: string[]
let packages: string[]

beforeAll(async () => {
  // In the repository, so that packages are found from there.
  dir = await mkdtemp(join(rootDir, 'test/.tmp-publisher-'))
  const result = await build({
    root: rootDir,
    configFile: false,
    logLevel: 'silent',
    build: {
      outDir: dir,
      minify: false,
      lib: { entry: 'src/runtime/publisher/index.ts', formats: ['es'], fileName: 'publisher' },
      rollupOptions: { external: /^(?![./]|.:)/ },
    },
  })
  const chunks = [result].flat().flatMap(one => 'output' in one ? one.output : []).filter(one => one.type === 'chunk')
  const own = new Set(chunks.map(({ fileName }) => fileName))
  files = chunks.flatMap(({ moduleIds }) => moduleIds).filter(id => id.startsWith(rootDir)).map(id => relative(join(rootDir, 'src/runtime'), id))
  packages = [...new Set(chunks.flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports]).filter(name => !own.has(name)))]
})
afterAll(() => rm(dir, { recursive: true, force: true }))

// @guarantee publisher
it('loads no framework: only what is at or below the rooms of channels, and the look-up of presence', () => {
  const rooms = [...new Set(files.map(file => file.split('/').slice(0, file.startsWith('server/') ? 2 : 1).join('/')))]
  expect(files.length).toBeGreaterThan(50)
  expect(rooms.sort()).toEqual([
    'publisher', 'server/channel', 'server/context', 'server/drivers', 'server/http', 'server/hub', 'server/insight', 'server/lib', 'server/limits', 'server/options.ts',
    'server/presence', 'server/producers', 'server/resolve-options.ts', 'server/wire', 'shared',
  ])
  // The rule for headers, which is a part of the options.
  expect(files.filter(file => file.startsWith('server/http/') && !['server/http/own-headers.ts', 'server/http/response-headers.ts'].includes(file))).toEqual([])
  expect(files.filter(file => file.startsWith('server/presence/'))).toEqual(['server/presence/presence-lookup.ts'])
  expect(files.filter(file => file.startsWith('server/context/'))).toEqual(['server/context/disconnect-channel.ts', 'server/context/channel-context.ts'])
})

// @guarantee publisher
it('imports one package, when a stream of bytes is piped; and ioredis, which no bundler sees', () => {
  expect(packages).toEqual(['eventsource-parser'])
})

// @guarantee publisher
it('runs in bare Node, publishes through a driver, and lets the process end', async () => {
  const script = `
    import { createSSEPublisher, defineSSEChannel } from ${JSON.stringify(join(dir, 'publisher.js'))}
    const log = []
    const refuse = async () => { throw new Error('not now') }
    const driver = { name: 'mine', async append(channel, entries) { log.push([channel, ...entries.map(({ data }) => data)]); return { epoch: 'e', offsets: entries.map((_, i) => log.length + i) } },
      finish: refuse, read: refuse, subscribe: refuse, remove: refuse, async close() { log.push('closed') } }
    const sse = createSSEPublisher({ driver })
    await sse.channel('a').publish(1)
    await defineSSEChannel(id => 'b:' + id)('x').publish(2)
    await sse.close()
    await defineSSEChannel('c')().publish(3).catch(error => log.push(error.code))
    await sse.channel('d').publish(3).catch(error => log.push(error.code))
    console.log(JSON.stringify(log))
  `
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: 30_000 })
  expect(stderr).toBe('')
  expect(JSON.parse(stdout)).toEqual([['a', '1'], ['b:x', '2'], 'closed', 'NO_PUBLISHER', 'SHUTTING_DOWN'])
})
