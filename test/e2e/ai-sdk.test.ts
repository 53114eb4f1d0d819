import { useChat } from '@ai-sdk/vue'
import type { UIMessage } from 'ai'
import { DefaultChatTransport } from 'ai'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { effectScope } from 'vue'
import type { EffectScope } from 'vue'
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
  const run = () => startBuiltServer('basic', { env: { ...redis.env, NUXT_SSE_LEASE_MS: '10000' } })
  servers = await Promise.all([run(), run()])
})
afterEach(async () => {
  for (const scope of scopes) scope.stop()
  await stopBuiltServers()
})

/** A page with `useChat` as it is, on one of the servers. */
function page(at: number, messages: UIMessage[] = []) {
  const requests: Response[] = []
  const scope = effectScope()
  scopes.push(scope)
  const left = new AbortController()
  const chat = scope.run(() => useChat({
    id,
    messages,
    transport: new DefaultChatTransport({
      api: `${servers[at]!.url}/api/ai`,
      fetch: async (input, init) => {
        const response = await fetch(input, { ...init, signal: AbortSignal.any([left.signal, ...init?.signal ? [init.signal] : []]) })
        requests.push(response)
        return response
      },
    }),
  }))!
  const answer = () => chat.messages.value.filter(({ role }) => role === 'assistant').flatMap(({ parts }) => parts.map(part => part.type === 'text' ? part.text : '')).join('')
  return { chat, answer, requests, /** As a reload does. */ leave: () => left.abort() }
}

describe('useChat of the AI SDK, on two servers and one Redis', () => {
  it('a page that is reloaded during an answer, on another instance, has all of it; the model was called once', async () => {
    const first = page(0)
    void first.chat.sendMessage({ text: 'Why?' }).catch(() => {})
    await eventually(() => expect(first.answer()).toContain('word5 '))
    first.leave()

    const second = page(1, [{ id: 'u1', role: 'user', parts: [{ type: 'text', text: 'Why?' }] }])
    const resumed = second.chat.resumeStream()
    await eventually(() => expect(second.answer()).toContain('word5 '))
    await resumed
    expect(second.answer()).toBe(ANSWER)
    expect(second.chat.status.value).toBe('ready')
    expect(second.chat.error.value).toBeUndefined()
    const asked = await Promise.all(servers.map(async ({ url }) => (await (await fetch(`${url}/api/produced`)).json() as { started: number }).started))
    expect(asked).toEqual([1, 0])
  })

  it('answers 204 where nothing is active: before, and when the answer is complete', async () => {
    const one = page(0)
    await one.chat.resumeStream()
    expect(one.requests.map(({ status }) => status)).toEqual([204])
    await one.chat.sendMessage({ text: 'Why?' })
    expect(one.answer()).toBe(ANSWER)
    const other = page(1)
    await other.chat.resumeStream()
    expect(other.requests.map(({ status }) => status)).toEqual([204])
    // The next question starts from scratch.
    await one.chat.sendMessage({ text: 'And then?' })
    expect(one.answer()).toBe(ANSWER + ANSWER)
  })

  it('a new question during an answer, on the other instance, is answered, and the first page keeps what it has', async () => {
    const [one, other] = [page(0), page(1)]
    const sent = one.chat.sendMessage({ text: 'Why? Answer slowly.' })
    await eventually(() => expect(one.answer()).toContain('word2 '))
    await other.chat.sendMessage({ text: 'And why not?' })
    expect(other.answer()).toBe(ANSWER)
    await sent
    expect(ANSWER.startsWith(one.answer())).toBe(true)
    expect(one.answer().length).toBeLessThan(ANSWER.length)
    expect([one.chat.error.value, other.chat.error.value]).toEqual([undefined, undefined])
    const asked = await Promise.all(servers.map(async ({ url }) => (await (await fetch(`${url}/api/produced`)).json() as { started: number }).started))
    expect(asked).toEqual([1, 1])
  })

  it('a stop, by a request to the other instance: all pages keep the text so far', async () => {
    const one = page(0)
    const sent = one.chat.sendMessage({ text: 'Why? Answer slowly.' })
    await eventually(() => expect(one.answer()).toContain('word2 '))
    expect((await fetch(`${servers[1]!.url}/api/ai/${id}/stream`, { method: 'DELETE' })).status).toBe(204)
    await sent
    expect(ANSWER.startsWith(one.answer())).toBe(true)
    expect(one.answer().length).toBeLessThan(ANSWER.length)
    expect(one.chat.error.value).toBeUndefined()
    expect(one.chat.status.value).toBe('ready')
  })
})
