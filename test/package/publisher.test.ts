import { execFile, fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import { DEFAULT_HANDLER_OPTIONS } from '../../src/runtime/server/options'
import { eventually, LOADED_MS } from '../support/conditions'
import { install } from '../support/install'
import { rootDir } from '../support/projects'
import { SSEReader } from '../support/read-sse'
import { TestRedis } from '../support/redis'
import type { TestServer } from '../support/sse-server'
import { startSSEServer } from '../support/sse-server'
import { versionsOf } from '../support/versions'

/** The packed package in processes of their own, with nothing beside it but ioredis and bullmq. */

const run = promisify(execFile)
const bin = (name: string) => join(rootDir, 'node_modules/.bin', name)

const FILES = {
  'channels.mjs': `import { defineSSEChannel } from 'nuxt-sse/publisher'
export const progress = defineSSEChannel(n => \`progress:\${n}\`)
`,
  'worker.mjs': `import { Worker } from 'bullmq'
import { createSSEPublisher } from 'nuxt-sse/publisher'
import { progress } from './channels.mjs'

const url = process.env.NUXT_SSE_REDIS_URL
const sse = createSSEPublisher()
const worker = new Worker('jobs', async ({ id, data: { n, channel } }) => {
  for (const step of [1, 2, 3]) await progress(channel).publish({ n, step }, { key: \`\${id}:\${step}\` })
}, { connection: { url }, concurrency: 10 })
process.once('SIGTERM', async () => {
  await worker.close()
  await sse.close()
  process.disconnect()
})
await worker.waitUntilReady()
process.send('ready')
`,
  'producer.mjs': `import { createSSEPublisher } from 'nuxt-sse/publisher'
const sse = createSSEPublisher({ redis: { url: process.env.NUXT_SSE_REDIS_URL }, leaseMs: 600 })
async function* endless() {
  for (let n = 1; ; n++) {
    yield n
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
await sse.channel('run').run(() => endless())
void sse.channel('pipe').pipe(endless())
process.send('ready')
`,
  'script.mjs': `import { subscribe } from 'node:diagnostics_channel'
import { createSSEPublisher } from 'nuxt-sse/publisher'
const traced = []
subscribe('nuxt-sse:publish', ({ id }) => traced.push(id))
const sse = createSSEPublisher()
const channel = sse.channel(process.argv[2])
await channel.pipe([1, 2])
const { messages } = await channel.read()
const { data, position } = await channel.snapshot(() => 'state')
if (data !== 'state' || position !== (await channel.info()).position) throw new Error(position)
const room = sse.presence('room')
if (await room.count() !== 0 || (await room.members()).length !== 0) throw new Error('A member that never joined.')
await sse.disconnect('nobody')
await sse.close()
console.log(JSON.stringify(messages.map(({ id, data }) => [data, traced.includes(id)])))
`,
  'types.ts': `import { createSSEPublisher, defineSSEChannel, sseMessage } from 'nuxt-sse/publisher'
import type { SSEChannel, SSEPresenceMember, SSESchema, SSESnapshot } from 'nuxt-sse/publisher'

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
const assert = <T extends true>(_?: T) => {}
declare const percent: SSESchema<{ percent: string }, { percent: number }>

const job = defineSSEChannel((id: string) => \`job:\${id}\`, { events: { progress: percent } })
const sse = createSSEPublisher({ redis: { url: 'redis://localhost', keyPrefix: 'app:' }, retention: { maxMessages: 5 } })
void job('1').publish({ percent: '5' }, { event: 'progress' })
void job('1').pipe([sseMessage({ percent: '5' }, { event: 'progress' })])
// @ts-expect-error The name is misspelt.
void job('1').publish({ percent: '5' }, { event: 'progres' })
const first = (await job('1').read()).messages[0]!
assert<Equals<typeof first.data, { percent: number }>>()
const numbers = sse.channel<number>('numbers')
assert<Equals<typeof numbers, SSEChannel<number>>>()
const members = await sse.presence<{ name: string }>('room').members()
assert<Equals<typeof members, SSEPresenceMember<{ name: string }>[]>>()
const count: number = await sse.presence('room').count()
const snapshot = await numbers.snapshot(() => [count])
assert<Equals<typeof snapshot, SSESnapshot<number[]>>>()
// @ts-expect-error It has look-ups only.
void sse.presence('room').publish
// @ts-expect-error There is no such option.
createSSEPublisher({ url: 'redis://localhost' })
await sse.disconnect('user', { leave: true })
await sse.close()
`,
}

let dir: string
let redis: TestRedis
const servers: TestServer[] = []
const children = new Set<ChildProcess>()
const tarball = inject('tarball')

beforeAll(async () => {
  [dir, redis] = await Promise.all([mkdtemp(join(tmpdir(), 'nuxt-sse-publisher-')), TestRedis.start()])
  await writeFile(join(dir, 'package.json'), JSON.stringify({ name: 'worker', private: true, type: 'module', dependencies: { 'nuxt-sse': `file:${tarball}`, ...await versionsOf('ioredis', 'bullmq') } }))
  for (const [file, text] of Object.entries(FILES)) await writeFile(join(dir, file), text)
  await install(dir)
  for (let n = 0; n < 2; n++) {
    const server = await startSSEServer({}, createRedisDriver({ createClient: settings => new Redis(redis.url, settings) }, DEFAULT_HANDLER_OPTIONS.retention))
    server.route('/:name', event => server.channel(event.context.params!.name!, { retention: { maxMessages: 5_000 } }))
    servers.push(server)
  }
})
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
})
afterAll(async () => {
  await Promise.all(servers.map(server => server.close()))
  await redis.stop()
  await rm(dir, { recursive: true, force: true })
})

const env = () => ({ ...process.env, NUXT_SSE_REDIS_URL: redis.url })

async function start(file: string): Promise<ChildProcess> {
  const child = fork(join(dir, file), { cwd: dir, env: env(), stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
  children.add(child)
  await once(child, 'message')
  return child
}

describe('a BullMQ worker', () => {
  // @guarantee publisher
  it('1,000 jobs over 4 workers: 50 readers of two servers receive each message once, in order, and the workers end by themselves', async () => {
    const [jobs, channels] = [1_000, 10]
    const workers = await Promise.all(Array.from({ length: 4 }, () => start('worker.mjs')))
    const readers = await Promise.all(Array.from({ length: 50 }, async (_, n) => SSEReader.open(`${servers[n % 2]!.url}/${encodeURIComponent(`progress:${n % channels}`)}`)))
    const queue = new Queue('jobs', { connection: { url: redis.url } })
    await queue.addBulk(Array.from({ length: jobs }, (_, n) => ({ name: 'job', data: { n, channel: n % channels } })))
    const each = jobs / channels * 3
    await eventually(() => expect(readers.filter(({ messages }) => messages.length >= each)).toHaveLength(50), 60_000)
    for (const [index, reader] of readers.entries()) {
      expect(reader.messages.map(({ id }) => Number(id!.split('.')[1]))).toEqual(Array.from({ length: each }, (_, n) => n + 1))
      const told = reader.data as { n: number, step: number }[]
      for (let n = index % channels; n < jobs; n += channels) expect(told.filter(message => message.n === n).map(({ step }) => step)).toEqual([1, 2, 3])
      reader.close()
    }
    for (const worker of workers) worker.kill('SIGTERM')
    expect(await Promise.all(workers.map(async worker => (await once(worker, 'exit'))[0] as number))).toEqual([0, 0, 0, 0])
    await queue.close()
  })
})

describe('a process that is killed', () => {
  // @guarantee publisher
  it('readers of its run receive PRODUCER_LOST within two leases; a channel that it has piped stays open', async () => {
    const producer = await start('producer.mjs')
    const [run, pipe] = await Promise.all([SSEReader.open(`${servers[0]!.url}/run`), SSEReader.open(`${servers[1]!.url}/pipe`)])
    await eventually(() => expect([run.messages.length > 5, pipe.messages.length > 5]).toEqual([true, true]))
    const killed = performance.now()
    producer.kill('SIGKILL')
    await run.finished
    // Two leases of 600 ms.
    expect(performance.now() - killed).toBeLessThan(1_200 + LOADED_MS)
    expect(run.controls.at(-1)).toMatchObject({ type: 'error', code: 'PRODUCER_LOST' })
    expect(pipe.controls.at(-1)).toMatchObject({ type: 'open' })
    await servers[0]!.channel('pipe').publish('continued')
    await pipe.until(({ data }) => data.at(-1) === 'continued')
    pipe.close()
  })
})

describe('a script', () => {
  // @guarantee publisher
  it.each([['node', [process.execPath]], ['bun', [bin('bun'), 'run']], ['deno', [bin('deno'), 'run', '-A', '--node-modules-dir=manual']]])('publishes and ends by itself in %s', async (name, [command, ...args]) => {
    const { stdout } = await run(command!, [...args, 'script.mjs', `script:${name}`], { cwd: dir, env: env(), timeout: 60_000 })
    expect(JSON.parse(stdout)).toEqual([[1, true], [2, true]])
  })

  it('without a URL, names what to set', async () => {
    const bare = { ...process.env, NUXT_SSE_REDIS_URL: '', NITRO_SSE_REDIS_URL: '' }
    await expect(run(process.execPath, ['script.mjs', 'x'], { cwd: dir, env: bare })).rejects.toMatchObject({ stderr: expect.stringContaining('NUXT_SSE_REDIS_URL') as string })
  })
})

describe('types', () => {
  it.each([['NodeNext', 'NodeNext'], ['Bundler', 'ESNext']])('with moduleResolution %s', async (moduleResolution, module) => {
    await writeFile(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions: { strict: true, target: 'ESNext', lib: ['ESNext', 'DOM'], module, moduleResolution, noEmit: true, skipLibCheck: true, types: [], allowImportingTsExtensions: true }, files: ['types.ts'] }))
    await run(bin('tsc'), ['-p', 'tsconfig.json'], { cwd: dir }).catch(({ stdout }: { stdout: string }) => expect.fail(stdout))
  })
})
