import { useChat } from '@ai-sdk/vue'
import type { UIMessage } from 'ai'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { effectScope } from 'vue'
import type { EffectScope } from 'vue'
import { SSEChatTransport } from '../../src/runtime/ai'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually } from '../support/conditions'
import { startSingle } from '../support/redis'
import type { TestTopology } from '../support/redis'

const ANSWER = Array.from({ length: 40 }, (_, n) => `word${n + 1} `).join('')

let redis: TestTopology
let servers: BuiltServer[]
let id: string
let scopes: EffectScope[]
beforeAll(async () => {
  redis = await startSingle()
}, 60_000)
afterAll(() => redis.stop())
beforeEach(async () => {
  id = crypto.randomUUID()
  scopes = []
  const run = () => startBuiltServer('basic', { env: { ...redis.env, NUXT_SSE_LEASE_MS: '2000' } })
  servers = await Promise.all([run(), run()])
})
afterEach(async () => {
  for (const scope of scopes) scope.stop()
  await stopBuiltServers()
})

/** `useChat` with the transport, as in a page. Its requests go to the server that `at()` names at that moment, as through a load balancer. */
function page(at: () => number, messages: UIMessage[] = []) {
  const requests: { method: string, server: number }[] = []
  const scope = effectScope()
  scopes.push(scope)
  const left = new AbortController()
  const transport = new SSEChatTransport({
    api: 'http://balancer.test/api/chat-answers',
    fetch: async (input, init) => {
      left.signal.throwIfAborted()
      requests.push({ method: init!.method!, server: at() })
      const { pathname, search } = new URL(String(input))
      return fetch(`${servers[at()]!.url}${pathname}${search}`, { ...init, signal: AbortSignal.any([left.signal, ...init?.signal ? [init.signal] : []]) })
    },
  })
  const chat = scope.run(() => useChat({ id, messages, transport }))!
  const answer = () => chat.messages.value.filter(({ role }) => role === 'assistant').flatMap(({ parts }) => parts.map(part => part.type === 'text' ? part.text : '')).join('')
  return { chat, answer, requests, transport, /** Closes the page, as a reload does. */ leave: () => left.abort() }
}

async function asked(): Promise<number[]> {
  return Promise.all(servers.map(async ({ url }) => (await (await fetch(`${url}/api/produced`)).json() as { started: number }).started))
}

const QUESTION: UIMessage = { id: 'u1', role: 'user', parts: [{ type: 'text', text: 'Why?' }] }

describe('SSEChatTransport, on two servers and one Redis', () => {
  it('streams an answer, and asks the model once', async () => {
    const one = page(() => 0)
    await one.chat.sendMessage({ text: 'Why?' })
    expect(one.answer()).toBe(ANSWER)
    expect(one.chat.status.value).toBe('ready')
    expect(one.requests).toEqual([{ method: 'POST', server: 0 }])
    expect(await asked()).toEqual([1, 0])
  })

  it('resumes on another instance after a reload in the middle of an answer', async () => {
    const first = page(() => 0)
    void first.chat.sendMessage({ text: 'Why?' }).catch(() => {})
    await eventually(() => expect(first.answer()).toContain('word5 '))
    first.leave()

    const second = page(() => 1, [QUESTION])
    await second.chat.resumeStream()
    expect(second.answer()).toBe(ANSWER)
    expect(second.chat.status.value).toBe('ready')
    expect(second.chat.error.value).toBeUndefined()
    expect(await asked()).toEqual([1, 0])
  })

  it('resumes nothing before the first question, and nothing after a complete answer', async () => {
    const one = page(() => 0)
    await one.chat.resumeStream()
    expect(one.answer()).toBe('')
    await one.chat.sendMessage({ text: 'Why?' })
    const other = page(() => 1)
    await other.chat.resumeStream()
    expect(other.answer()).toBe('')
    expect([...one.requests, ...other.requests].map(({ method }) => method)).toEqual(['GET', 'POST', 'GET'])
  })

  it('shows the whole answer in a second tab, and stop() in that tab stops the model and both tabs', async () => {
    const [one, other] = [page(() => 0), page(() => 1, [QUESTION])]
    const sent = one.chat.sendMessage({ text: 'Why? Answer slowly.' })
    await eventually(() => expect(one.answer()).toContain('word2 '))
    const resumed = other.chat.resumeStream()
    await eventually(() => expect(other.answer()).toContain('word2 '))
    await other.chat.stop()
    await Promise.all([sent, resumed])
    expect(ANSWER.startsWith(one.answer())).toBe(true)
    expect(one.answer().length).toBeLessThan(ANSWER.length)
    expect([one.chat.status.value, other.chat.status.value]).toEqual(['ready', 'ready'])
    expect([one.chat.error.value, other.chat.error.value]).toEqual([undefined, undefined])
    await eventually(async () => expect((await (await fetch(`${servers[0]!.url}/api/produced`)).json() as { released: number }).released).toBe(1))
  })

  it('loses and doubles no token when the instance of the viewer is killed', async () => {
    let at = 0
    const writer = page(() => 1)
    void writer.chat.sendMessage({ text: 'Why?' })
    await eventually(() => expect(writer.answer()).toContain('word2 '))
    const viewer = page(() => at, [QUESTION])
    const resumed = viewer.chat.resumeStream()
    await eventually(() => expect(viewer.answer()).toContain('word5 '))
    at = 1
    await servers[0]!.stop()
    await resumed
    expect(viewer.answer()).toBe(ANSWER)
    expect(viewer.requests.filter(({ method }) => method === 'POST')).toEqual([])
  })

  it('reports PRODUCER_LOST when the instance that writes the answer is killed, and regenerate() answers again', async () => {
    let at = 0
    const one = page(() => at)
    const sent = one.chat.sendMessage({ text: 'Why? Answer slowly.' })
    await eventually(() => expect(one.answer()).toContain('word2 '))
    at = 1
    await servers[0]!.stop()
    await sent
    expect(one.chat.status.value).toBe('error')
    expect(one.chat.error.value).toMatchObject({ code: 'PRODUCER_LOST' })
    expect(one.requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
    void one.chat.regenerate()
    await eventually(() => expect(one.answer()).toContain('word2 '), 10_000)
    expect(one.answer().match(/word1 /g)).toHaveLength(1)
    await one.chat.stop()
  })

  it('asks the model once when the answer to a question is lost on its way', async () => {
    const one = page(() => 0)
    const { fetch: send } = globalThis
    let lost = 0
    const transport = new SSEChatTransport({
      api: `${servers[0]!.url}/api/chat-answers`,
      fetch: async (input, init) => {
        const response = await send(input, init)
        if (init?.method !== 'POST' || lost++) return response
        await response.body!.cancel()
        throw new TypeError('fetch failed')
      },
    })
    const chunks: string[] = []
    for await (const chunk of (await transport.sendMessages({ chatId: id, messages: [QUESTION], trigger: 'submit-message', messageId: undefined, abortSignal: undefined })) as unknown as AsyncIterable<{ type: string, delta?: string }>) {
      if (chunk.type === 'text-delta') chunks.push(chunk.delta!)
    }
    expect(chunks.join('')).toBe(ANSWER)
    expect(lost).toBe(2)
    expect(await asked()).toEqual([1, 0])
    one.leave()
  })

  it('leaves one answer when two tabs ask at the same moment', async () => {
    const tabs = [page(() => 0), page(() => 1)]
    await Promise.all(tabs.map(({ chat }, tab) => chat.sendMessage({ text: `Question ${tab}` })))
    const answers = tabs.map(({ answer }) => answer())
    expect(answers).toContain(ANSWER)
    expect(answers.filter(answer => ANSWER.startsWith(answer))).toHaveLength(2)
    expect(answers.filter(answer => answer === ANSWER)).toHaveLength(1)
  })

  it.each([
    ['', 400, /`id` to be/],
    ['?id=', 400, /`id` to be/],
    ['?id=1&answer=..', 400, /`answer` to be/],
    [`?id=${'x'.repeat(257)}&answer=a`, 400, /`id` to be/],
    ['?id=1&answer=a', 400, /JSON|`messages`/],
  ])('refuses POST %s', async (query, status, text) => {
    const response = await fetch(`${servers[0]!.url}/api/chat-answers${query}`, { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ message: expect.stringMatching(text) as string, data: { code: 'INVALID_QUERY' } })
    expect(await asked()).toEqual([0, 0])
  })
})
