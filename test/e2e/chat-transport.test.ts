import { useChat } from '@ai-sdk/vue'
import { Chat } from '@ai-sdk/vue-3'
import type { UIMessage } from 'ai'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { effectScope, reactive } from 'vue'
import type { EffectScope } from 'vue'
import { SSEChatTransport } from '../../src/runtime/ai'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { eventually } from '../support/conditions'
import { startSingle } from '../support/redis'
import type { TestTopology } from '../support/redis'

const ANSWER = Array.from({ length: 40 }, (_, n) => `word${n + 1} `).join('')

let redis: TestTopology
/** Two instances for all tests. A test that kills one gets another one after it. */
let servers: BuiltServer[] = []
let before: Produced[]
let id: string
let scopes: EffectScope[]
beforeAll(async () => {
  redis = await startSingle()
}, 60_000)
afterAll(async () => {
  await stopBuiltServers()
  await redis.stop()
})
beforeEach(async () => {
  id = crypto.randomUUID()
  scopes = []
  await startServers(60_000)
})
afterEach(() => {
  for (const scope of scopes) scope.stop()
})

/** Replaces the servers that do not run. A long lease outlives all stalls of a loaded machine. */
async function startServers(leaseMs: number): Promise<void> {
  const run = () => startBuiltServer('basic', { env: { ...redis.env, NUXT_SSE_LEASE_MS: String(leaseMs) } })
  servers = await Promise.all([0, 1].map(at => servers[at]?.isRunning ? servers[at] : run()))
  before = await Promise.all([0, 1].map(countsOf))
}

/** Servers with a lease whose end a test can wait for. */
async function withShortLease(): Promise<void> {
  await stopBuiltServers()
  await startServers(5_000)
  onTestFinished(stopBuiltServers)
}

/** Continues the answers that a server holds. */
const release = (server: number) => fetch(`${servers[server]!.url}/api/release`, { method: 'POST' })

interface TestChat {
  messages: UIMessage[]
  status: string
  error: Error | undefined
  sendMessage(message: { text: string }, options?: { headers?: Record<string, string> }): Promise<void>
  regenerate(): Promise<void>
  resumeStream(): Promise<void>
  stop(): Promise<void>
}
interface ChatInit { id: string, messages: UIMessage[], transport: SSEChatTransport }

/** Client and server of each supported major version of `ai`. */
const MAJORS = {
  7: { route: 'chat-answers', createChat: (init: ChatInit): TestChat => reactive(useChat(init)) as unknown as TestChat },
  6: { route: 'chat-answers-6', createChat: (init: ChatInit): TestChat => new Chat(init as unknown as ConstructorParameters<typeof Chat>[0]) as unknown as TestChat },
}
let major: keyof typeof MAJORS = 7

/** A chat with the transport, as in a page. Its requests go to the server that `at()` names at that moment, as through a load balancer. */
function page(at: () => number, messages: UIMessage[] = [], { chatId = id, loses = () => false, holds = () => undefined }: { chatId?: string, loses?: (init: RequestInit) => boolean, holds?: (init: RequestInit) => Promise<void> | undefined } = {}) {
  const { route, createChat } = MAJORS[major]
  const requests: { method: string, server: number }[] = []
  const scope = effectScope()
  scopes.push(scope)
  const left = new AbortController()
  const transport = new SSEChatTransport({
    api: `http://balancer.test/api/${route}`,
    fetch: async (input, init) => {
      left.signal.throwIfAborted()
      requests.push({ method: init!.method!, server: at() })
      await holds(init!)
      const { pathname, search } = new URL(String(input))
      const response = await fetch(`${servers[at()]!.url}${pathname}${search}`, { ...init, signal: AbortSignal.any([left.signal, ...init?.signal ? [init.signal] : []]) })
      if (!loses(init!)) return response
      await response.body?.cancel()
      throw new TypeError('fetch failed')
    },
  })
  const chat = scope.run(() => createChat({ id: chatId, messages, transport }))!
  const answer = () => chat.messages.filter(({ role }) => role === 'assistant').flatMap(({ parts }) => parts.map(part => part.type === 'text' ? part.text : '')).join('')
  const methods = () => requests.map(({ method }) => method)
  return { chat, answer, requests, methods, transport, /** Closes the page, as a reload does. */ leave: () => left.abort() }
}

interface Produced { started: number, released: number }

async function countsOf(server: number): Promise<Produced> {
  const { started, released } = await (await fetch(`${servers[server]!.url}/api/produced`)).json() as Produced
  return { started, released }
}

/** Answers that a server has started, and signals that were aborted, in this test. */
async function produced(server: number): Promise<Produced> {
  const { started, released } = await countsOf(server)
  return { started: started - before[server]!.started, released: released - before[server]!.released }
}

async function asked(): Promise<number[]> {
  return Promise.all([0, 1].map(async server => (await produced(server)).started))
}

const QUESTION: UIMessage = { id: 'u1', role: 'user', parts: [{ type: 'text', text: 'Why?' }] }

describe.each([7, 6] as const)('SSEChatTransport and `ai` %i, on two servers and one Redis', (version) => {
  beforeEach(() => {
    major = version
  })

  it('streams an answer, and calls the model once', async () => {
    const one = page(() => 0)
    await one.chat.sendMessage({ text: 'Why?' })
    expect(one.answer()).toBe(ANSWER)
    expect(one.chat.status).toBe('ready')
    expect(one.requests).toEqual([{ method: 'POST', server: 0 }])
    expect(await asked()).toEqual([1, 0])
  })

  it('resumes on another instance after a reload in the middle of an answer', async () => {
    const first = page(() => 0)
    void first.chat.sendMessage({ text: 'Why? Hold.' }).catch(() => {})
    await eventually(() => expect(first.answer()).toContain('word5 '))
    first.leave()

    const second = page(() => 1, [QUESTION])
    const resumed = second.chat.resumeStream()
    await eventually(() => expect(second.answer()).toContain('word5 '))
    await release(0)
    await resumed
    expect(second.answer()).toBe(ANSWER)
    expect(second.chat.status).toBe('ready')
    expect(second.chat.error).toBeUndefined()
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
    expect([one.chat.status, other.chat.status]).toEqual(['ready', 'ready'])
    expect([one.chat.error, other.chat.error]).toEqual([undefined, undefined])
    await eventually(async () => expect(await produced(0)).toEqual({ started: 1, released: 1 }))
  })

  it('loses and doubles no token when the instance of the viewer is killed', async () => {
    let at = 0
    const writer = page(() => 1)
    void writer.chat.sendMessage({ text: 'Why? Hold.' })
    await eventually(() => expect(writer.answer()).toContain('word2 '))
    const viewer = page(() => at, [QUESTION])
    const resumed = viewer.chat.resumeStream()
    await eventually(() => expect(viewer.answer()).toContain('word5 '))
    at = 1
    await servers[0]!.stop()
    await release(1)
    await resumed
    expect(viewer.answer()).toBe(ANSWER)
    expect(viewer.requests.filter(({ method }) => method === 'POST')).toEqual([])
  })

  it('reports PRODUCER_LOST when the instance that writes the answer is killed, and regenerate() answers again', async () => {
    await withShortLease()
    let at = 0
    const one = page(() => at)
    const sent = one.chat.sendMessage({ text: 'Why? Answer slowly.' })
    await eventually(() => expect(one.answer()).toContain('word2 '))
    at = 1
    await servers[0]!.stop()
    await sent
    expect(one.chat.status).toBe('error')
    expect(one.chat.error).toMatchObject({ code: 'PRODUCER_LOST' })
    expect(one.requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
    void one.chat.regenerate()
    await eventually(() => expect(one.answer()).toContain('word2 '))
    expect(one.answer().match(/word1 /g)).toHaveLength(1)
    await one.chat.stop()
  })

  it('calls the model once when the response to a question is lost', async () => {
    let lost = 0
    const one = page(() => lost, [], { loses: ({ method }) => method === 'POST' && lost++ === 0 })
    await one.chat.sendMessage({ text: 'Why?' })
    expect(one.answer()).toBe(ANSWER)
    expect(one.requests).toEqual([{ method: 'POST', server: 0 }, { method: 'POST', server: 1 }])
    expect(await asked()).toEqual([1, 0])
  })

  it('reads an answer once when the page sends a question while it looks for an answer to resume', async () => {
    const asking = Promise.withResolvers<void>()
    const looked = Promise.withResolvers<void>()
    const one = page(() => 0, [], {
      holds: ({ method }) => method === 'GET' ? asking.promise : undefined,
      loses({ method }) {
        if (method === 'GET') looked.resolve()
        return false
      },
    })
    const resumed = one.chat.resumeStream()
    const sent = one.chat.sendMessage({ text: 'Why? Hold.' })
    await eventually(() => expect(one.answer()).toContain('word2 '))
    const statuses = new Set<string>([one.chat.status])
    const look = setInterval(() => statuses.add(one.chat.status), 5)
    asking.resolve()
    await looked.promise
    await release(0)
    await Promise.all([resumed, sent])
    clearInterval(look)
    expect(one.answer()).toBe(ANSWER)
    expect(one.methods()).toEqual(['GET', 'POST'])
    // It is not ready before the answer is.
    expect(statuses).toEqual(new Set(['streaming']))
  })

  it('keeps one message, and stops nothing, when a page resumes twice', async () => {
    const one = page(() => 0)
    void one.chat.sendMessage({ text: 'Why? Answer slowly.' })
    await eventually(() => expect(one.answer()).toContain('word2 '))
    const other = page(() => 1, [QUESTION])
    void other.chat.resumeStream()
    await eventually(() => expect(other.answer()).toContain('word2 '))
    void other.chat.resumeStream()
    await eventually(() => expect(other.answer()).toContain('word4 '))
    expect(other.answer().match(/word1 /g)).toHaveLength(1)
    expect(other.methods()).not.toContain('DELETE')
    expect(await produced(0)).toEqual({ started: 1, released: 0 })
    await one.chat.stop()
  })

  it('shows a lost answer and its error after a reload, and regenerate() answers again', async () => {
    await withShortLease()
    const first = page(() => 0)
    void first.chat.sendMessage({ text: 'Why? Answer slowly.' }).catch(() => {})
    await eventually(() => expect(first.answer()).toContain('word2 '))
    first.leave()
    await servers[0]!.stop()
    const second = page(() => 1, [QUESTION])
    await second.chat.resumeStream()
    expect(second.answer()).toContain('word2 ')
    expect(second.chat).toMatchObject({ status: 'error', error: { code: 'PRODUCER_LOST' } })
    void second.chat.regenerate()
    await eventually(() => expect(second.answer()).toContain('word2 '))
    expect(second.answer().match(/word1 /g)).toHaveLength(1)
    await second.chat.stop()
  })

  it('leaves one answer when two tabs ask at the same moment', async () => {
    const tabs = [page(() => 0), page(() => 1)]
    const sent = tabs.map(({ chat }, tab) => chat.sendMessage({ text: `Question ${tab}. Answer slowly.` }))
    await eventually(() => expect(tabs.map(({ chat }) => chat.status).sort()).toEqual(['ready', 'streaming']))
    expect((await asked()).reduce((sum, started) => sum + started)).toBe(2)
    const kept = tabs.find(({ chat }) => chat.status === 'streaming')!
    const length = kept.answer().length
    await eventually(() => expect(kept.answer().length).toBeGreaterThan(length))
    for (const { answer } of tabs) expect(ANSWER.startsWith(answer())).toBe(true)
    await kept.chat.stop()
    await Promise.all(sent)
  })
})

describe('the route of defineSSEChatHandler', () => {
  beforeEach(() => {
    major = 7
  })
  const url = (query: string) => `${servers[0]!.url}/api/chat-answers${query}`
  const ask = (query: string, body: object = { messages: [QUESTION] }) => fetch(url(query), { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })

  it.each([
    ['', 400, /`id` to be/],
    ['?id=', 400, /`id` to be/],
    ['?id=1&answer=..', 400, /`answer` to be/],
    [`?id=${'x'.repeat(257)}&answer=a`, 400, /`id` to be/],
    ['?id=1&answer=a', 400, /JSON|`messages`/],
  ])('refuses POST %s', async (query, status, text) => {
    const response = await fetch(url(query), { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ message: expect.stringMatching(text) as string, data: { code: 'INVALID_QUERY' } })
    expect(await asked()).toEqual([0, 0])
  })

  it('starts nothing for a question that arrives after its stop', async () => {
    expect((await fetch(url(`?id=${id}&answer=a`), { method: 'DELETE' })).status).toBe(204)
    expect(await (await ask(`?id=${id}&answer=a`)).text()).toContain('"code":"ABORTED"')
    expect(await asked()).toEqual([0, 0])
  })

  it('stops one answer by its ID, or the one that is being written', async () => {
    for (const [answer, query] of [['b', `?id=${id}&answer=b`], ['c', `?id=${id}`]] as const) {
      const response = await ask(`?id=${id}&answer=${answer}`)
      expect((await fetch(url(`?id=${id}&answer=other`), { method: 'DELETE' })).status).toBe(204)
      expect(await (await fetch(url(`?id=${id}`))).json()).toEqual({ answer })
      expect((await fetch(url(query), { method: 'DELETE' })).status).toBe(204)
      expect(await response.text()).toContain('"code":"ABORTED"')
    }
    expect(await produced(0)).toEqual({ started: 2, released: 2 })
    expect((await fetch(url(`?id=${id}`))).status).toBe(204)
  })

  it('refuses every request that `authorize` refuses, and useChat shows its text', async () => {
    const query = `?id=private-${id}`
    for (const [method, path] of [['POST', `${query}&answer=a`], ['GET', `${query}&answer=a`], ['GET', query], ['HEAD', query], ['DELETE', query], ['DELETE', `${query}&answer=a`]] as const) {
      const response = await fetch(url(path), { method, ...method === 'POST' && { body: '{}' } })
      expect([method, path, response.status]).toEqual([method, path, 401])
    }
    const { chat, methods } = page(() => 0, [], { chatId: `private-${id}` })
    await chat.sendMessage({ text: 'Why?' })
    expect(chat).toMatchObject({ status: 'error', error: { message: 'Sign in.', statusCode: 401 } })
    await chat.resumeStream()
    expect(chat).toMatchObject({ status: 'error', error: { message: 'Sign in.', statusCode: 401 } })
    expect(methods()).toEqual(['POST', 'GET'])
    expect(await asked()).toEqual([0, 0])
  })

  it('stops with the headers that the question was sent with', async () => {
    const { chat, answer } = page(() => 0, [], { chatId: `private-${id}` })
    const sent = chat.sendMessage({ text: 'Why? Answer slowly.' }, { headers: { authorization: 'Bearer ok' } })
    await eventually(() => expect(answer()).toContain('word2 '))
    await chat.stop()
    await sent
    await eventually(async () => expect(await produced(0)).toEqual({ started: 1, released: 1 }))
  })

  it('refuses an unknown answer with NO_ANSWER', async () => {
    const response = await fetch(url(`?id=${id}&answer=none`))
    expect([response.status, (await response.json() as { data: object }).data]).toEqual([404, { code: 'NO_ANSWER' }])
  })

  it('answers HEAD as GET, and starts nothing', async () => {
    await (await ask(`?id=${id}&answer=a`)).text()
    expect((await fetch(url(`?id=${id}`), { method: 'HEAD' })).status).toBe(204)
    expect((await fetch(url(`?id=${id}&answer=a`), { method: 'HEAD' })).status).toBe(200)
    expect((await fetch(url(`?id=${id}&answer=z`), { method: 'OPTIONS' })).status).toBe(204)
    expect(await asked()).toEqual([1, 0])
  })

  it('reports an error of `answer` to its reader without its text', async () => {
    const { chat, methods } = page(() => 0)
    await chat.sendMessage({ text: 'Throw' })
    expect(chat).toMatchObject({ status: 'error', error: { code: 'SOURCE_FAILED' } })
    expect(chat.error!.message).not.toContain('secret')
    expect(methods()).toEqual(['POST'])
    await eventually(() => expect(servers[0]!.output()).toContain('secret'))
  })
})
