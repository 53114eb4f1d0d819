import { expect, it } from 'vitest'
import { computed, h, nextTick, reactive, ref } from 'vue'
import { useSSE } from '../../src/runtime/app/composables/use-sse'
import type { UseSSEOptions, UseSSEReturn } from '../../src/runtime/app/composables/use-sse'
import type { SSEMessage } from '../../src/runtime/shared/types'
import { eventually } from '../support/conditions'
import { useMounting, useScriptedServer } from '../support/mounted'
import { control, message } from '../support/scripted-server'

const END = control({ type: 'end' })

const server = useScriptedServer()
const mounting = useMounting()

async function mount(options: UseSSEOptions<SSEMessage, unknown>) {
  const { made } = await mounting(() => useSSE(server.url, { reconnect: { minDelayMs: 1, maxDelayMs: 2 }, ...options }) as UseSSEReturn<SSEMessage, unknown>, ({ status }) => h('p', status.value))
  return made
}

const prompt = ref('hello')

it.each<[string, unknown, string]>([
  ['a ref', ref({ a: 1 }), '{"a":1}'],
  ['a computed', computed(() => ({ text: prompt.value })), '{"text":"hello"}'],
  ['refs inside an object, at any depth', { prompt, more: { prompt } }, '{"prompt":"hello","more":{"prompt":"hello"}}'],
  ['a reactive object', reactive({ prompt }), '{"prompt":"hello"}'],
  ['a function', () => ({ prompt }), '{"prompt":"hello"}'],
  ['a ref of a text', ref('a=1'), 'a=1'],
  ['a form', new URLSearchParams({ a: '1' }), 'a=1'],
  ['a promise of a function', async () => ({ a: 1 }), '{"a":1}'],
])('a body that is %s is sent with its current value', async (_, body, sent) => {
  server.script(x => x.open().end(END))
  const sse = await mount({ body })
  await eventually(() => expect(sse.ended.value).toBe(true))
  expect([server.exchanges[0]!.request.method, server.exchanges[0]!.body]).toEqual(['POST', sent])
})

it('headers and query can be refs, too, and are read again at every attempt', async () => {
  const token = ref('one')
  const page = ref(1)
  server.script((x) => {
    token.value = 'two'
    x.status(503)
  }, x => x.open().end(END))
  const sse = await mount({ headers: { authorization: token }, query: { page, none: ref(undefined) } })
  await eventually(() => expect(sse.ended.value).toBe(true))
  expect(server.exchanges.map(x => [x.request.headers.authorization, x.query])).toEqual([['one', { page: '1' }], ['two', { page: '1' }]])
})

it('a query ref is watched by value, and a change restarts from scratch, unlike a function, headers and body', async () => {
  const filter = ref<{ tag: string, page?: number }>({ tag: 'a' })
  const unwatched = ref('x')
  server.script(x => x.open().write(message(x.query.tag)))
  const sse = await mount({ query: filter, headers: ref({ 'x-a': unwatched.value }), initial: [], reduce: (all: unknown, one) => [...all as unknown[], one.data] })
  const other = await mount({ query: () => ({ tag: unwatched.value }) })
  await eventually(() => expect([sse.data.value, other.data.value]).toEqual([['a'], 'x']))
  filter.value = { tag: 'a' }
  unwatched.value = 'y'
  await nextTick()
  filter.value.tag = 'b'
  await eventually(() => expect(sse.data.value).toEqual(['b']))
  expect(server.exchanges.map(x => x.query.tag)).toEqual(['a', 'x', 'b'])
  expect(other.data.value).toBe('x')
})
