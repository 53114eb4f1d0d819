import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { expect } from 'vitest'
import { openSSE } from '../../../src/runtime/client/open-sse'
import type { SSEClientOptions } from '../../../src/runtime/client/types'
import { launchBrowser } from '../../support/browser'
import { eventually } from '../../support/conditions'
import { rootDir } from '../../support/projects'
import type { Exchange, ScriptedServer } from '../../support/scripted-server'
import { message, startScriptedServer } from '../../support/scripted-server'
import type { Checks } from './check'
import { OURS, UPSTASH, VUEUSE } from './check'

/** Both clients against one server, each on its own path: VueUse in Chromium, ours as it is. */

let browser: Browser | undefined
const launched = async () => browser ??= await launchBrowser()

export const closeBrowser = () => browser?.close()

interface Client {
  /** Its requests for the stream, in their order. */
  requests(): Exchange[]
  received(): Promise<unknown[]>
}

type Answer = (exchange: Exchange, number: number) => unknown

/** Ours: `openSSE` is the client of `useSSE`. */
async function withOurs<T>(answer: Answer, options: SSEClientOptions, task: (client: Client) => Promise<T>): Promise<T> {
  const server = await startScriptedServer()
  serveAll(server, answer)
  const received: unknown[] = []
  const source = openSSE(`${server.url}stream`, { reconnect: { minDelayMs: 10, maxDelayMs: 20 }, ...options })
  const reading = (async () => {
    for await (const { data } of source) received.push(data)
  })()
  try {
    return await task({ requests: () => server.exchanges, received: async () => received })
  }
  finally {
    source.close()
    await reading
    await server.close()
  }
}

/** VueUse, in each of `tabs` pages. */
async function withVueUse<T>(answer: Answer, options: Record<string, unknown>, task: (client: Client) => Promise<T>, tabs = 1): Promise<T> {
  const server = await startScriptedServer()
  serveAll(server, answer)
  const context = await (await launched()).newContext()
  try {
    const pages = await Promise.all(Array.from({ length: tabs }, () => context.newPage()))
    for (const page of pages) await openPage(page, server.url, options)
    return await task({
      requests: () => server.exchanges.filter(({ url }) => url.pathname === '/stream'),
      received: () => pages[0]!.evaluate(() => (window as unknown as { received: unknown[] }).received),
    })
  }
  finally {
    await context.close()
    await server.close()
  }
}

function serveAll(server: ScriptedServer, answer: Answer): void {
  let number = 0
  server.script((exchange) => {
    if (exchange.url.pathname !== '/stream') return exchange.status(200, '<title>VueUse</title>')
    return answer(exchange, number++)
  })
}

async function openPage(page: Page, url: string, options: Record<string, unknown>): Promise<void> {
  await page.goto(url)
  for (const file of ['vue/dist/vue.global.prod.js', '@vueuse/shared/dist/index.iife.min.js', '@vueuse/core/dist/index.iife.min.js']) {
    await page.addScriptTag({ content: await readFile(join(rootDir, 'node_modules', file), 'utf8') })
  }
  await page.evaluate((options) => {
    const { VueUse, Vue } = window as unknown as { VueUse: typeof import('@vueuse/core'), Vue: typeof import('vue') }
    const received: unknown[] = []
    Object.assign(window, { received })
    const { data } = VueUse.useEventSource('/stream', [], options)
    Vue.watch(data, value => received.push(value), { flush: 'sync' })
  }, options)
}

const AUTO_RECONNECT = { autoReconnect: { retries: -1, delay: 10 } }

/** Its first request breaks off after a message, the second is refused, the third is a stream. */
const breaksThenRefuses: Answer = (exchange, number) => {
  if (number === 0) return exchange.stream(`retry: 10\n\n${message('one', '7')}`).end()
  if (number === 1) return exchange.status(503)
  return exchange.stream(message('two', '8'))
}

const goesOnBehind = async ({ requests, received }: Client) => {
  await eventually(async () => expect(await received()).toHaveLength(2))
  return requests()[2]!.position === '7'
}

/** Announces a heartbeat every 100 ms, and falls silent. */
const fallsSilent: Answer = exchange => exchange.open({ heartbeatMs: 100 })

export const clientChecks: Checks = {
  'Reconnects after a 503': {
    [OURS]: () => withOurs(breaksThenRefuses, {}, async client => (await goesOnBehind(client), true)),
    [VUEUSE]: () => withVueUse(breaksThenRefuses, AUTO_RECONNECT, async client => (await goesOnBehind(client), true)),
    [UPSTASH]: { yes: 'client/provider.js: `eventSource.onerror`' },
  },
  'Resumes after the last message on a new connection': {
    [OURS]: () => withOurs(breaksThenRefuses, {}, goesOnBehind),
    [VUEUSE]: () => withVueUse(breaksThenRefuses, AUTO_RECONNECT, async (client) => {
      const goesOn = await goesOnBehind(client)
      // The browser's own reconnects work.
      expect(client.requests()[1]!.position).toBe('7')
      return goesOn
    }),
    [UPSTASH]: { yes: 'client/provider.js: `last_ack_…`' },
  },
  'Detects a silent connection': {
    [OURS]: () => withOurs(fallsSilent, {}, ({ requests }) => eventually(() => expect(requests().length).toBeGreaterThan(1)).then(() => true)),
    // For as long as ours takes to do so twice.
    [VUEUSE]: () => withVueUse(fallsSilent, AUTO_RECONNECT, async ({ requests }) => {
      await withOurs(fallsSilent, {}, ours => eventually(() => expect(ours.requests().length).toBeGreaterThan(2)))
      return requests().length > 1
    }),
    [UPSTASH]: { yes: 'client/provider.js: `PING_TIMEOUT_MS`' },
  },
  'Sends request headers and a body': {
    [OURS]: () => withOurs(exchange => exchange.stream(message('one')), SENT, sendsAll),
    [VUEUSE]: () => withVueUse(exchange => exchange.stream(message('one')), { ...SENT }, sendsAll),
    [UPSTASH]: { no: 'client/provider.js: `new EventSource`' },
  },
  'Polls where streams are blocked': {
    [OURS]: () => withOurs(answersPolls, { connectTimeoutMs: 100 }, async ({ received }) => eventually(async () => expect(await received()).toContain('polled')).then(() => true)),
    [VUEUSE]: () => withVueUse(answersPolls, AUTO_RECONNECT, async ({ requests, received }) => {
      await withOurs(answersPolls, { connectTimeoutMs: 100 }, ours => eventually(async () => expect(await ours.received()).toContain('polled')))
      return (await received()).length > 0 || requests().some(({ isPoll }) => isPoll)
    }),
    [UPSTASH]: { no: 'client/provider.js: `new EventSource`, and nothing else' },
  },
  'Shares one connection between tabs': {
    [OURS]: { yes: 'test/e2e/sharing.test.ts: eight tabs have one connection, and others can still load' },
    [VUEUSE]: () => withVueUse(exchange => exchange.stream(message('one')), {}, async (client) => {
      await eventually(() => expect(client.requests().length).toBeGreaterThan(1))
      return false
    }, 2),
    [UPSTASH]: { no: 'client/provider.js: one for each provider' },
  },
}

const SENT = { method: 'POST', headers: { 'x-token': 'fresh' }, body: { asked: 'this' } }

async function sendsAll({ requests, received }: Client): Promise<boolean> {
  await eventually(async () => expect(await received()).toHaveLength(1))
  const [{ request, body }] = requests() as [Exchange]
  return request.method === 'POST' && request.headers['x-token'] === 'fresh' && body === '{"asked":"this"}'
}

/** A proxy that holds streams back: they are open, and silent. */
function answersPolls(exchange: Exchange): void {
  if (exchange.isPoll) exchange.batch([{ id: 'e1.1', data: 'polled' }], { ended: true })
}
