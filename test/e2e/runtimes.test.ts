import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, LOADED_MS } from '../support/conditions'
import { nitroOutput } from '../support/projects'
import { SSEReader } from '../support/read-sse'
import { startScriptedServer } from '../support/scripted-server'
import type { TestRedis } from '../support/redis'
import { startRedis } from '../support/redis'
import { describeRuntime, expectAllKept, openForTheEnd } from '../support/runtime-suite'
import { runtimes, startOn, startWorker, stopRuntimes } from '../support/runtimes'

/** One application, built by Nitro 2 for each runtime, and run there from its output. */

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => {
  await stopRuntimes()
  await redis.stop()
})

for (const runtime of runtimes) describeRuntime(runtime, () => redis.url)

describe('the build output', () => {
  it('for Workers contains nothing of Node, and nothing of Redis', async () => {
    const ours = await modulesOf('cloudflare-module')
    expect(ours.size).toBeGreaterThan(40)
    expect([...ours.keys()].filter(name => /redis(?!-excluded|\/build\/redis-excluded)|node-response(?<!no-node-response)|pass-signals/.test(name))).toEqual([])
    // The replacement of a bundler for `performance` is the runtime's own.
    const imports = new Set([...ours.values()].flat().filter(name => !/^src\/|polyfill\/performance/.test(name)).map(name => name.replace(/^node_modules\//, '')))
    expect([...imports].sort()).toEqual(['eventsource-parser/dist/index.js', 'h3/dist/index.mjs', 'nitropack/dist/runtime/index.mjs'])
  })

  it('without Redis in its options has no client of it', async () => {
    for (const preset of ['node-server', 'bun', 'deno-server']) expect([...await modulesOf(preset)].flat(2).filter(name => /ioredis(?!-installed)/.test(name)), preset).toEqual([])
  })

  /** Our files in a bundle, and the imports of each of them. */
  async function modulesOf(preset: string): Promise<Map<string, string[]>> {
    const modules = JSON.parse(await readFile(`${nitroOutput(preset)}/modules.json`, 'utf8')) as Record<string, string[]>
    return new Map(Object.entries(modules).filter(([name]) => name.startsWith('src/')))
  }
})

it('takes options from the environment on Workers, too', async () => {
  const server = await startWorker(nitroOutput('cloudflare-module'), { NITRO_SSE_RETRY_MS: '70000' })
  const reader = await SSEReader.open(`${server.url}/api/count`)
  await reader.finished
  expect(reader.retryMs).toBeGreaterThanOrEqual(35_000)
  await server.stop()
})

it.each(runtimes)('a `proxy` rule within one application carries a stream to its end: $name', async ({ start }) => {
  const server = await start({})
  const reader = await SSEReader.open(`${server.url}/alias/count`)
  await reader.finished
  expect([reader.data, reader.controls.at(-1)]).toEqual([[{ n: 1 }, { n: 2 }, { n: 3 }], { type: 'end' }])
  await server.stop()
})

it('a `proxy` rule within one application hangs up when its client leaves', async () => {
  const server = await startOn('node-server')
  const told = async () => await (await fetch(`${server.url}/api/told`)).json() as Record<string, number>
  const reader = await SSEReader.open(`${server.url}/alias/push?id=alias`)
  await reader.until(r => r.data.length === 1)
  await reader[Symbol.asyncDispose]()
  await eventually(async () => expect((await told())['alias:cleaned']).toBe(1))
  await server.stop()
})

describe('Vercel\'s maximum duration', () => {
  it('is never reached: a stream makes its client reconnect before', async () => {
    const server = await startOn('vercel')
    const reader = await SSEReader.open(`${server.url}/api/channel/long`)
    await reader.finished
    expect(reader.controls.at(-1)).toEqual({ type: 'leave', retryMs: expect.any(Number) })
    await server.stop()
  })
})

describe('Vercel\'s functions', () => {
  it('are kept alive for work after a response', async () => {
    const server = await startOn('vercel')
    const provider = await startScriptedServer()
    provider.script(exchange => void exchange.stream())
    const said = () => [...server.output().matchAll(/Kept alive|Let go/g)].map(([text]) => text)

    await fetch(`${server.url}/api/pipe/piped?url=${provider.url}`, { method: 'POST' })
    await eventually(() => expect(said()).toEqual(['Kept alive']))
    provider.exchanges[0]!.write('data: [DONE]\n\n')
    await eventually(() => expect(said()).toEqual(['Kept alive', 'Let go']))

    const reader = await SSEReader.open(`${server.url}/api/run/kept?to=100000&everyMs=20`)
    await reader.until(({ data }) => data.length > 1)
    await reader.close()
    await eventually(() => expect(said().slice(2)).toEqual(['Kept alive']))
    await fetch(`${server.url}/api/run/kept`, { method: 'DELETE' })
    await eventually(() => expect(said().slice(2)).toEqual(['Kept alive', 'Let go']))
    await provider.close()
    await server.stop()
  })
})

describe('a Worker without the signal of its requests', () => {
  it('forgets a disconnected client when the next one connects', async () => {
    const server = await startWorker(nitroOutput('cloudflare-module'), {}, ['nodejs_compat'])
    const told = async () => await (await fetch(`${server.url}/api/told`)).json() as Record<string, number>
    const readers = await Promise.all(['push?id=left', 'channel/left'].map(path => SSEReader.open(`${server.url}/api/${path}`)))
    await Promise.all(readers.map(reader => reader.until(({ comments }) => comments.length > 0)))
    await Promise.all(readers.map(reader => reader.close()))
    // The wait is the tested behaviour: a timer of such a runtime must be late for this long, and no event marks the time.
    await sleep(5_500)
    expect(await told()).toMatchObject({ connections: 2 })
    await using next = await SSEReader.open(`${server.url}/api/channel/left`)
    await next.until(({ comments }) => comments.length > 2)
    expect(await told()).toMatchObject({ 'connections': 1, 'left:cleaned': 1 })
    expect(server.output()).not.toMatch(/unhandled|uncaught|on behalf of a different request/i)
    await server.stop()
  })
})

describe('a Worker whose request is over', () => {
  it('takes the work that the request started with it, unless that waits: readers learn it, and with `onLost: \'restart\'` one of them continues it', async () => {
    // A lease that is over before any reader looks, and one that is not.
    await Promise.all([3_000, 10_000].map(async (leaseMs) => {
      const server = await startOn('cloudflare-module', { NITRO_SSE_LEASE_MS: String(leaseMs) })
      const provider = await startScriptedServer()
      provider.script(exchange => void exchange.stream('data: {"n":1}\n\n'))
      const open = (path: string) => SSEReader.open(`${server.url}/api/${path}`)
      const pairOf = async (path: string) => {
        const pair = [await open(path), await open(path)] as const
        await Promise.all(pair.map(reader => reader.until(({ data }) => data.length > 2)))
        return pair
      }
      const [first, second] = await pairOf('run/fails?to=100000&everyMs=20&alone=1')
      const [starter, heir] = await pairOf('run/restarts?to=100000&everyMs=20&alone=1&onLost=restart')
      await fetch(`${server.url}/api/pipe/piped?url=${provider.url}&alone=1`, { method: 'POST' })
      const piped = await open('channel/piped')
      // A reader that has looked at the lease later than those that stay.
      const last = await open('channel/fails')
      await last.until(({ data }) => data.length > 2)
      await Promise.all([first, last, starter].map(reader => reader.close()))

      const lost = { type: 'error', code: 'PRODUCER_LOST', statusCode: 503, retry: false }
      await Promise.all([second, piped].map(reader => reader.until(({ controls }) => controls.length > 1, 20_000)))
      for (const { controls } of [second, piped]) expect(controls.at(-1)).toMatchObject(lost)

      const tokens = () => heir.data as { n: number, run: string }[]
      await heir.until(() => tokens()[0]!.run !== tokens().at(-1)!.run, 20_000)
      expect(tokens().map(({ n }) => n)).toEqual(tokens().map((_, index) => index + 1))
      expect(heir.controls).toMatchObject([{ type: 'open' }])

      const said = (name: string) => expect(server.output()).toContain(`The producer of channel \`${name}\` stopped before it was complete, because the request that started it ended.`)
      await eventually(() => ['fails', 'restarts', 'piped'].forEach(said), 20_000)
      expect(server.output()).not.toMatch(/unhandled|uncaught|on behalf of a different request|LEASE_LOST/i)
      await heir.close()
      await provider.close()
      await server.stop()
    }))
  })
})

describe('a listener under Express 5', () => {
  describe.each([['memory', () => ({})], ['Redis', () => ({ NITRO_SSE_REDIS_URL: redis.url })]])('with channels in %s', (_, env) => {
    it.each([
      ['ends by the signal', {}, null, 'SIGTERM'],
      ['leaves the end to an application that listens itself', { OWN_SIGNALS: '1' }, 0, null],
    ])('%s, after all work that a shutdown starts', async (_, own, code, signal) => {
      const server = await startOn('node-listener', { ...env(), ...own })
      expect(await (await fetch(`${server.url}/express`)).text()).toBe('Express')
      const readers = await openForTheEnd(server)
      const ended = await server.stop('SIGTERM')
      expect([ended.code, ended.signal]).toEqual([code, signal])
      expect(ended.ms).toBeLessThan(LOADED_MS)
      expectAllKept(server.output())
      expect(server.output().includes('Express has closed.')).toBe('OWN_SIGNALS' in own)
      await Promise.all(readers.map(reader => reader.finished))
      for (const { controls } of readers) expect(controls.at(-1)).toMatchObject({ type: 'leave' })
    })
  })
})

describe('Bun\'s idle limit', () => {
  it('makes heartbeats arrive before it, and logs that', async () => {
    const server = await startOn('bun', { NITRO_BUN_IDLE_TIMEOUT: '8' })
    expect(server.output()).toContain('[nuxt-sse] Bun closes connections that are idle for 8 s (NITRO_BUN_IDLE_TIMEOUT). Heartbeats and responses to polls are sent before that.')
    await using reader = await SSEReader.open(`${server.url}/api/any`)
    const poll = fetch(`${server.url}/api/channel/idle?transport=poll&waitMs=20000`)
    // Twelve seconds: longer than Bun waits.
    await reader.until(({ comments }) => comments.length === 4, 20_000)
    expect(reader.controls).toEqual([{ type: 'open', heartbeatMs: 3_000, restarts: false }])
    expect((await poll).status).toBe(200)
    await server.stop()
  })

  it('is an error that stops the server when it is shorter than Bun can measure', async () => {
    await expect(startOn('bun', { NITRO_BUN_IDLE_TIMEOUT: '4' })).rejects.toThrow('Expected `NITRO_BUN_IDLE_TIMEOUT` to be more than 4 seconds, or 0 for none, got `4`: Bun would cut every stream.')
  })
})
