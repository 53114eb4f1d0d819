import { existsSync } from 'node:fs'
import { readFile, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually, LOADED_MS } from '../support/conditions'
import { PackedApp } from '../support/packed-app'
import { rootDir } from '../support/projects'
import { SSEReader } from '../support/read-sse'
import type { TestRedis } from '../support/redis'
import { startRedis } from '../support/redis'
import type { RuntimeServer } from '../support/runtime-suite'
import { describeRuntime, saidAtTheEnd } from '../support/runtime-suite'
import { describeOn, startOn, stopRuntimes } from '../support/runtimes'
import { versionsOf } from '../support/versions'

/** The packed tarball in Nitro 3 without Nuxt: types, builds, and all requirements for a runtime. */

const elsewhere = ['node-cluster', 'bun', 'deno-server', 'cloudflare-module']
const outputOf = (preset: string) => join(app.dir, `.output-${preset}`)

let app: PackedApp
let redis: TestRedis
beforeAll(async () => {
  app = await PackedApp.create({ dependencies: await versionsOf('nitro', 'ioredis', 'typescript'), from: [join(rootDir, 'test/fixtures/nitro3')] })
  const build = (...options: string[]) => app.node('node_modules/nitro/dist/cli/index.mjs', 'build', ...options)
  for (const preset of elsewhere) {
    await build('--preset', preset)
    await rename(join(app.dir, '.output'), outputOf(preset))
  }
  await build()
  redis = await startRedis()
})
afterAll(async () => {
  await Promise.all([stopBuiltServers(), stopRuntimes()])
  await redis.stop()
  await app.remove()
})

const start = (env: Record<string, string> = {}) => startBuiltServer({ dir: app.dir }, { env })

describe('the packed tarball in a Nitro 3 application', () => {
  it('type-checks', async () => {
    await app.node('node_modules/typescript/bin/tsc', '--noEmit', '-p', '.')
  })

  it('is built without Redis, and without code for Nitro 2', async () => {
    const output = join(app.dir, '.output/server')
    expect(existsSync(join(output, 'node_modules'))).toBe(false)
    const texts = await Promise.all((await readdir(output, { recursive: true })).filter(name => name.endsWith('.mjs')).map(name => readFile(join(output, name), 'utf8')))
    expect(texts.filter(text => /nitropack|from "ioredis"/.test(text))).toEqual([])
  })

  it('takes options from the environment with their types', async () => {
    const server = await start({ NITRO_SSE_HEARTBEAT_MS: 'false', NITRO_SSE_MAX_CONNECTIONS: '1', NITRO_SSE_HEADERS: '{"X-Served-By":"a"}' })
    await using reader = await SSEReader.open(`${server.url}/api/any`)
    await reader.until(({ controls }) => controls.length === 1)
    expect(reader.controls).toEqual([{ type: 'open', heartbeatMs: 0, restarts: false }])
    expect(reader.response.headers.get('x-served-by')).toBe('a')
    expect((await fetch(`${server.url}/api/any`)).status).toBe(503)
    await expect(start({ NITRO_SSE_HEARTBEAT_MS: 'never' })).rejects.toThrow('Expected `heartbeatMs` to be')
    await server.stop()
  })
})

describe('a ticket', () => {
  it('opens one channel, is refused for another, and is in no URL after the check', async () => {
    const server = await start({ NITRO_SSE_TICKET_SECRET: 'a'.repeat(32) })
    const ticket = await (await fetch(`${server.url}/api/ticket/a`, { method: 'POST' })).text()
    const reader = await SSEReader.open(`${server.url}/api/ticket/a?n=1&ticket=${ticket}`)
    await reader.finished
    const [{ data }] = reader.messages as [{ data: { channel: string, urls: string[] } }]
    expect(data.channel).toBe('a')
    expect(data.urls.map(url => url.replace(server.url, ''))).toEqual(data.urls.map(() => '/api/ticket/a?n=1'))
    const refused = async (path: string) => {
      const response = await fetch(server.url + path)
      const text = await response.text()
      expect(text).not.toContain(ticket)
      return [response.status, JSON.parse(text).data.code]
    }
    expect(await refused('/api/ticket/a')).toEqual([401, 'TICKET_MISSING'])
    expect(await refused(`/api/ticket/b?ticket=${ticket}`)).toEqual([403, 'TICKET_OTHER_CHANNEL'])
    expect(await refused(`/api/ticket/a?ticket=x${ticket}`)).toEqual([401, 'TICKET_INVALID'])
    expect(server.output()).not.toContain(ticket)
    await server.stop()
  })
})

describe('the route for useChat', () => {
  it('asks, finds, streams, stops and refuses, without the package `ai`', async () => {
    const server = await start()
    const url = (query: string) => `${server.url}/api/chat-answers${query}`
    const ask = (query: string, text: string) => fetch(url(query), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ messages: [{ id: '1', role: 'user', parts: [{ type: 'text', text }] }] }) })
    const wordsIn = (text: string) => [...text.matchAll(/"delta":"(\w+) "/g)].map(([, word]) => word)

    const asked = await (await ask('?id=1&answer=a', 'Why?')).text()
    expect(wordsIn(asked)).toEqual(['word1', 'word2', 'word3'])
    expect(wordsIn(await (await fetch(url('?id=1&answer=a'))).text())).toEqual(['word1', 'word2', 'word3'])
    expect((await fetch(url('?id=1'))).status).toBe(204)
    expect((await fetch(url('?id=1'), { method: 'HEAD' })).status).toBe(204)

    const slow = await ask('?id=1&answer=b', 'Why? Answer slowly.')
    expect(await (await fetch(url('?id=1'))).json()).toEqual({ answer: 'b' })
    expect((await fetch(url('?id=1&answer=b'), { method: 'DELETE' })).status).toBe(204)
    expect(await slow.text()).toContain('"code":"ABORTED"')

    const refused = async (response: Response) => [response.status, (await response.json() as { data?: { code: string } }).data?.code]
    expect(await refused(await fetch(url('?id=1&answer=none')))).toEqual([404, 'NO_ANSWER'])
    expect(await refused(await fetch(url('')))).toEqual([400, 'INVALID_QUERY'])
    expect(await refused(await fetch(url('?id=1&answer=c'), { method: 'POST', body: '{' }))).toEqual([400, 'INVALID_QUERY'])
    for (const method of ['GET', 'DELETE']) expect((await fetch(url('?id=private&answer=a'), { method })).status).toBe(401)
    expect((await ask('?id=private&answer=a', 'Why?')).status).toBe(401)
    await server.stop()
  })
})

describe('a shutdown', () => {
  it('ends the process also under CI, where Nitro 3 listens to no signal', async () => {
    const server = await start({ CI: '1' })
    await using reader = await SSEReader.open(`${server.url}/api/any`)
    await reader.until(({ controls }) => controls.length === 1)
    const { code, ms } = await server.stop('SIGTERM')
    expect(code).toBe(0)
    expect(ms).toBeLessThan(LOADED_MS)
    await reader.finished
    expect(reader.controls.at(-1)).toMatchObject({ type: 'leave' })
  })

  it('is not held back by open streams', async () => {
    const server = await start()
    const readers = await Promise.all(Array.from({ length: 20 }, () => SSEReader.open(`${server.url}/api/any`)))
    await Promise.all(readers.map(reader => reader.until(({ controls }) => controls.length === 1)))
    const { code, ms } = await server.stop('SIGTERM')
    expect(code).toBe(0)
    // Nitro 3 looks once a second.
    expect(ms).toBeLessThan(LOADED_MS)
    await Promise.all(readers.map(reader => reader.finished))
    expect(readers.map(({ controls, cut }) => [controls.at(-1)!.type, cut])).toEqual(readers.map(() => ['leave', false]))
  })
})

describe('the workers of node-cluster', () => {
  const startCluster = (env: Record<string, string> = {}) => startOn('node-cluster', { NITRO_SSE_REDIS_URL: redis.url, ...env }, outputOf('node-cluster'))

  /** Both workers: the connections of a server go to them in turn. */
  async function workersOf({ url }: RuntimeServer): Promise<number[]> {
    const pids = new Set<number>()
    await eventually(async () => {
      const answer = await fetch(`${url}/api/pid`, { headers: { connection: 'close' } })
      pids.add((await answer.json()).pid)
      expect(pids.size).toBe(2)
    }, 20_000)
    return [...pids]
  }

  const isGone = (pid: number) => expect(() => process.kill(pid, 0)).toThrowError(expect.objectContaining({ code: 'ESRCH' }))

  it.each([
    ['SIGTERM', ['SIGTERM'], {}],
    ['SIGINT', ['SIGINT'], {}],
    ['an impatient operator', ['SIGTERM', 'SIGTERM', 'SIGINT', 'SIGINT'], {}],
    ['under CI, where Nitro 3 listens to no signal: SIGTERM', ['SIGTERM'], { CI: '1' }],
    ['a signal of the operator\'s choice, where Nitro 3 listens to no other', ['SIGUSR2'], { NITRO_SHUTDOWN_SIGNALS: ' SIGUSR2  SIGTERM' }],
  ] as [string, NodeJS.Signals[], Record<string, string>][])('%s to the primary: streams end with a leave, the hook close runs in each, and none is left', async (_, signals, env) => {
    const server = await startCluster(env)
    const workers = await workersOf(server)
    const readers = await Promise.all(Array.from({ length: 20 }, () => SSEReader.open(`${server.url}/api/channel/cluster`)))
    await Promise.all(readers.map(reader => reader.until(({ controls }) => controls.length === 1)))
    const { code, ms } = await server.stop(...signals)
    expect(code).toBe(0)
    // Before Nitro 3 would close what is still open.
    expect(ms).toBeLessThan(LOADED_MS)
    await Promise.all(readers.map(reader => reader.finished))
    expect(readers.map(({ controls, cut }) => [controls.at(-1)!.type, cut])).toEqual(readers.map(() => ['leave', false]))
    expect(saidAtTheEnd(server.output())).toEqual(workers.map(() => ['close: kept']))
    workers.forEach(isGone)
  })

  it('are left to the runtime with NITRO_SHUTDOWN_DISABLED, and end with their primary', async () => {
    const server = await startCluster({ NITRO_SHUTDOWN_DISABLED: '1' })
    const workers = await workersOf(server)
    expect(await server.stop('SIGTERM')).toMatchObject({ code: null, signal: 'SIGTERM' })
    await eventually(() => workers.forEach(isGone), 10_000)
    expect(saidAtTheEnd(server.output())).toEqual([])
  })
})

describe('Bun\'s idle limit', () => {
  it('is Bun\'s own, whatever the variable is that sets it on Nitro 2', async () => {
    const server = await startOn('bun', { NITRO_BUN_IDLE_TIMEOUT: '60' }, outputOf('bun'))
    expect(server.output()).toContain('[nuxt-sse] Bun closes connections that are idle for 10 s. Heartbeats and responses to polls are sent before that.')
    await using reader = await SSEReader.open(`${server.url}/api/any`)
    await reader.until(({ controls }) => controls.length === 1)
    expect(reader.controls).toEqual([{ type: 'open', heartbeatMs: 6_000, restarts: false }])
    await server.stop()
  })
})

for (const runtime of [
  { ...describeOn('node-server', {}), start },
  // A process for each core: they share through Redis.
  describeOn('node-cluster', { memory: false }, outputOf),
  describeOn('bun', {}, outputOf),
  describeOn('deno-server', {}, outputOf),
  describeOn('cloudflare-module', { redis: false, signals: false, noticesPollLeft: 'reset' }, outputOf),
]) describeRuntime({ ...runtime, name: `Nitro 3 on ${runtime.name}` }, () => redis.url)
