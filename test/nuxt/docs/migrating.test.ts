import { mountSuspended } from '@nuxt/test-utils/runtime'
import * as vueUse from '@vueuse/core'
import { defineEventHandler } from 'h3'
import { EventSource } from 'undici'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { computed, defineComponent, h, onMounted, onUnmounted, ref } from 'vue'
import type { Ref } from 'vue'
import { useSSE } from '../../../src/runtime/app/composables/use-sse'
import { eventually } from '../../support/conditions'
import { readPrograms, runProgram } from '../../support/page-programs'
import type { Program } from '../../support/page-programs'
import type { ScriptedServer } from '../../support/scripted-server'
import { startScriptedServer } from '../../support/scripted-server'
import type { TestServer } from '../../support/sse-server'
import { startSSEServer } from '../../support/sse-server'

/** Components of the page "Migrating", before and after, with the real routes. test/http/docs/migrating.test.ts has the routes. */

const PAGE = 'docs/guide/migrating.md'

const sources = new Set<EventSource>()
const mounted: { unmount(): void }[] = []
const timers: NodeJS.Timeout[] = []
let server: TestServer
let other: ScriptedServer

beforeEach(async () => {
  server = await startSSEServer()
  other = await startScriptedServer()
})
afterEach(async () => {
  vi.unstubAllGlobals()
  for (const wrapper of mounted.splice(0)) wrapper.unmount()
  for (const timer of timers.splice(0)) clearInterval(timer)
  for (const source of sources) source.close()
  sources.clear()
  await server.close()
  await other.close()
})

/** URL on the servers of this file: the page's own origin is `server`, and any other one is `other`. */
function onServers(input: string | URL): string {
  const { origin, pathname, search } = new URL(input, location.href)
  return new URL(pathname + search, origin === location.origin ? server.url : other.url).href
}

class TestEventSource extends EventSource {
  constructor(url: string, init?: ConstructorParameters<typeof EventSource>[1]) {
    super(onServers(url), init)
    sources.add(this)
  }
}

/** Runs a program in the setup of a component. */
async function run<T extends object>(program: Program): Promise<T> {
  vi.stubGlobal('EventSource', TestEventSource)
  const request = ((input: string, init?: RequestInit) => fetch(onServers(input), init)) as typeof fetch
  const scope = {
    computed, onMounted, onUnmounted, ref,
    EventSource: TestEventSource,
    useSSE: (url?: string, options: object = {}) => useSSE<unknown, unknown>(url as string, { reconnect: { minDelayMs: 1 }, fetch: request, ...options }),
    $fetch: async (url: string) => (await request(url)).json() as unknown,
    // A second of the examples is 10 ms here.
    setInterval: (callback: () => void, ms: number) => (timers.push(setInterval(callback, ms / 100)), timers.at(-1)),
    clearInterval,
  }
  let names!: T
  mounted.push(await mountSuspended(defineComponent({
    setup() {
      names = runProgram(program, scope, { '@vueuse/core': vueUse }) as T
      return () => h('p')
    },
  })))
  return names
}

const shows = (ref: Ref<unknown>, value: unknown) => eventually(() => expect(ref.value).toEqual(value))

describe('useEventSource', async () => {
  const programs = await readPrograms(PAGE, 'From VueUse\'s `useEventSource`')

  it.each(['// Before', '// After'])('%s shows the time that a route sends', async (label) => {
    server.route('/api/clock', (_, connection) => void connection.push({ now: 42 }))
    const { now } = await run<{ now: Ref<number> }>(programs(label))
    await shows(now, 42)
  })
})

describe('createSSEConnection', async () => {
  const programs = await readPrograms(PAGE, 'From h3\'s `createEventStream`')

  it('needs `parse`, because its data is text', async () => {
    server.use('/api/clock', defineEventHandler((event) => {
      const stream = server.raw(event)
      void stream.push(JSON.stringify({ now: 42 }))
      return stream.send()
    }))
    const { data } = await run<{ data: Ref<unknown> }>(programs('parse: \'json\''))
    await shows(data, { now: 42 })
  })
})

describe('a useSSE() of your own', async () => {
  const programs = await readPrograms(PAGE, 'A `useSSE()` of your own')

  it.each(['// Before', '// After'])('%s collects messages, and `connect(url)` begins with another route', async (label) => {
    for (const name of ['notices', 'others']) server.route(`/api/${name}`, () => server.channel(name))
    const { data, status, connect } = await run<{ data: Ref<unknown[]>, status: Ref<string>, connect: (url: string) => void }>(programs(label))
    for (const title of ['one', 'two', 'three']) await server.channel('notices').publish({ title })
    await shows(data, ['one', 'two', 'three'].map(title => ({ title })))
    expect(status.value).toBe(label === '// Before' ? 'open' : 'connected')
    await server.channel('others').publish({ title: 'other' })
    connect('/api/others')
    await shows(data, [{ title: 'other' }])
  })
})

describe('polling until a job is done', async () => {
  const programs = await readPrograms(PAGE, 'Polling until a job is done')

  it.each(['// Before', '// After'])('%s shows the progress up to the end', async (label) => {
    const channel = server.channel<{ percent: number }>('job:42')
    server.route('/api/jobs/42/stream', () => channel)
    server.use('/api/jobs/42', defineEventHandler(async () => {
      const { messages, ended } = await channel.read()
      return { type: ended ? 'done' : 'pending', percent: ended ? 100 : messages.at(-1)?.data.percent ?? 0 }
    }))
    const { percent } = await run<{ percent: Ref<number> }>(programs(label))
    await channel.publish({ percent: 50 })
    await shows(percent, 50)
    await channel.end()
    await shows(percent, 100)
  })
})

describe('done and error messages', async () => {
  const programs = await readPrograms(PAGE, '`done` and `error` messages')
  const token = (text: string) => `event: token\ndata: ${JSON.stringify({ text })}\n\n`

  it.each([['// Before', 'done'], ['// After', 'done'], ['// Before', 'error'], ['// After', 'error']])('%s reads the text up to `%s`, and requests it once', async (label, last) => {
    other.script(exchange => exchange.stream(`${token('Hello')}${token(' world')}event: ${last}\ndata: {}\n\n`))
    const { text } = await run<{ text: Ref<string> }>(programs(label))
    await shows(text, 'Hello world')
    await eventually(() => expect(other.exchanges.every(({ closed }) => closed)).toBe(true))
    expect(other.exchanges).toHaveLength(1)
  })
})
