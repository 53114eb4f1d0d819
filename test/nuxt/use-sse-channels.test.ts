import { describe, expect, it } from 'vitest'
import { computed, defineComponent, h, nextTick, ref } from 'vue'
import { useSSE } from '../../src/runtime/app/composables/use-sse'
import type { UseSSEOptions, UseSSEReturn } from '../../src/runtime/app/composables/use-sse'
import type { SSEMessage } from '../../src/runtime/shared/types'
import type { Step } from '../support/scripted-server'
import { useMounting, useScriptedServer } from '../support/mounted'
import { control, message } from '../support/scripted-server'
import { eventually } from '../support/conditions'

type Options = UseSSEOptions<SSEMessage<number>, number[]>
const QUICK = { reconnect: { minDelayMs: 1, maxDelayMs: 2 } } satisfies Options
const LIST = { initial: [] as number[], reduce: (all: number[], { data }: SSEMessage<number>) => [...all, data] }

const server = useScriptedServer()
const mounting = useMounting()

/** Components with one call each, mounted together. */
async function mount(...calls: Options[]): Promise<UseSSEReturn<SSEMessage<number>, number[]>[]> {
  const all: UseSSEReturn<SSEMessage<number>, number[]>[] = []
  const children = calls.map(options => defineComponent(() => {
    all.push(useSSE<number, number[]>(server.url, { ...QUICK, ...options }))
    return () => h('p')
  }))
  await mounting(() => children, () => children.map(one => h(one)))
  return all
}

const openChannels = (channels: Record<string, string>): Record<string, unknown> => ({
  position: Object.entries(channels).map(([key, position]) => `${key}:${position}`).join(),
  resumed: false,
  channels: Object.fromEntries(Object.entries(channels).map(([key, position]) => [key, { position, resumed: false }])),
})

/** Two channels; after the opening, what is written. */
const two = (text: string): Step => x => x.open(openChannels({ a: 'e1.0', b: 'e2.0' })).write(text)

describe('useSSE on a route of several channels', () => {
  it('callbacks: a key gets all of its channel, `key/name` those of that name, `message` the unnamed ones of all', async () => {
    server.script(two(message(1, 'a:e1.1', 'a') + message(2, 'a:e1.2', 'a/created') + message(3, 'b:e2.1', 'b') + message(4, 'b:e2.2', 'b/created')))
    const seen: Record<string, number[]> = {}
    const names = ['a', 'b', 'a/created', 'message', 'created', '*']
    const [sse] = await mount({ on: Object.fromEntries(names.map(name => [name, (one: SSEMessage<number>) => (seen[name] ??= []).push(one.data)])) })
    await eventually(() => expect(seen['*']).toEqual([1, 2, 3, 4]))
    expect(seen).toEqual({ 'a': [1, 2], 'b': [3, 4], 'a/created': [2], 'message': [1, 3], '*': [1, 2, 3, 4] })
    expect(sse!.message.value).toEqual({ channel: 'b', id: 'b:e2.2', event: 'created', data: 4 })
    expect(sse!.position.value).toBe('a:e1.2,b:e2.2')
    expect('channels' in sse!).toBe(false)
  })

  it('with `channel`, two components with `share` cost one connection, and data, messages, callbacks, gap, position and end are their channel\'s', async () => {
    server.script(two(message(1, 'a:e1.1', 'a') + message(2, 'b:e2.1', 'b/created')))
    const named: Record<string, number[]> = {}
    const on = (key: string) => Object.fromEntries(['a', 'b', 'created', 'message'].map(name => [name, ({ data }: SSEMessage<number>) => (named[`${key} ${name}`] ??= []).push(data)]))
    const [a, b] = await mount({ ...LIST, share: 'page', channel: 'a', on: on('a') }, { ...LIST, share: 'page', channel: 'b', on: on('b') })
    await eventually(() => expect([a!.data.value, b!.data.value]).toEqual([[1], [2]]))
    expect([a!.position.value, b!.position.value]).toEqual(['e1.1', 'e2.1'])
    expect(named).toEqual({ 'a message': [1], 'b created': [2] })
    expect(server.exchanges).toHaveLength(1)
    server.exchanges[0]!.write(control({ type: 'gap', channel: 'b', reason: 'epoch', missed: null, position: 'e3.0' }) + control({ type: 'end', channel: 'a' }) + message(3, 'b:e3.1', 'b'))
    await eventually(() => expect(b!.data.value).toEqual([2, 3]))
    expect([a!.status.value, a!.ended.value, a!.gap.value]).toEqual(['closed', true, undefined])
    expect([b!.status.value, b!.ended.value, b!.gap.value]).toEqual(['connected', false, { reason: 'epoch', missed: null, position: 'e3.0', channel: 'b' }])
    expect(b!.messages.value.map(one => one.id)).toEqual(['b:e2.1', 'b:e3.1'])
    expect(server.exchanges).toHaveLength(1)
  })

  it('a channel that the route lacks: `UNKNOWN_CHANNEL`, and the call is closed', async () => {
    server.script(two(''))
    const [sse] = await mount({ ...LIST, channel: 'c' })
    await eventually(() => expect([sse!.status.value, sse!.failed.value, sse!.error.value?.code]).toEqual(['closed', true, 'UNKNOWN_CHANNEL']))
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
    expect(() => useSSE(server.url, { channel: 'a:b', immediate: false })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it.each(['component', 'page'] as const)('a changed query reconnects, and the channels that are in both sets continue with their data (share: %s)', async (share) => {
    server.script(
      two(message(1, 'a:e1.1', 'a') + message(2, 'b:e2.1', 'b')),
      x => x.open({ position: 'c:e3.0,b:e2.1', resumed: false, channels: { c: { position: 'e3.0', resumed: false }, b: { position: 'e2.1', resumed: true } } }).write(message(3, 'c:e3.1', 'c') + message(4, 'b:e2.2', 'b')),
    )
    const set = ref('ab')
    const query = computed(() => ({ set: set.value }))
    const [whole] = await mount({ ...LIST, query, share })
    await eventually(() => expect(whole!.data.value).toEqual([1, 2]))
    set.value = 'ab'
    await nextTick()
    expect(server.exchanges).toHaveLength(1)
    set.value = 'bc'
    await eventually(() => expect(whole!.data.value).toEqual([1, 2, 3, 4]))
    expect(server.exchanges.map(x => [x.query.set, x.position])).toEqual([['ab', undefined], ['bc', 'a:e1.1,b:e2.1']])
    expect(whole!.position.value).toBe('c:e3.1,b:e2.2')
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
  })

  it('a changed query with `channel`: one that is in both sets continues, another is closed', async () => {
    const script: Step = (x) => {
      if (x.isPoll) return x.batch([], { position: 'b:e2.1', channels: { b: { position: 'e2.1', ended: false, gap: null } } })
      if (x.query.set === 'ab') return two(message(1, 'a:e1.1', 'a') + message(2, 'b:e2.1', 'b'))(x)
      x.open(openChannels({ b: 'e2.1' })).write(message(3, 'b:e2.2', 'b'))
    }
    server.script(script)
    const query = ref({ set: 'ab' })
    const [a, b] = await mount({ ...LIST, query, channel: 'a', share: 'page' }, { ...LIST, query, channel: 'b', share: 'page' })
    await eventually(() => expect([a!.data.value, b!.data.value]).toEqual([[1], [2]]))
    query.value = { set: 'b' }
    await eventually(() => expect(b!.data.value).toEqual([2, 3]))
    expect(b!.status.value).toBe('connected')
    await eventually(() => expect(a!.error.value?.code).toBe('UNKNOWN_CHANNEL'))
    expect([a!.data.value, a!.position.value]).toEqual([[], undefined])
  })

  it('a changed query on a route of one channel drops data and position, as ever', async () => {
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')), x => x.open({ position: 'e2.0' }))
    const query = ref({ set: 1 })
    const [sse] = await mount({ ...LIST, query })
    await eventually(() => expect(sse!.data.value).toEqual([1]))
    query.value = { set: 2 }
    await eventually(() => expect(sse!.position.value).toBe('e2.0'))
    expect([sse!.data.value, server.exchanges[1]!.position]).toEqual([[], undefined])
  })
})

describe('loadOlder of useSSE', () => {
  it('resolves with the messages before the first one, ignores an event argument, and starts again with the URL', async () => {
    server.script(
      x => x.open({ position: 'e1.8' }).write(message(9, 'e1.9')),
      x => x.status(200, { type: 'page', messages: [{ id: 'e1.7', data: 7 }, { id: 'e1.8', data: 8 }], hasOlder: true }),
      x => x.status(200, { type: 'page', messages: [], hasOlder: false }),
      x => x.open({ position: 'e5.0' }),
      x => x.status(200, { type: 'page', messages: [], hasOlder: false }),
    )
    const [sse] = await mount(LIST)
    await eventually(() => expect(sse!.data.value).toEqual([9]))
    expect((await sse!.loadOlder(2)).map(one => one.data)).toEqual([7, 8])
    expect(await sse!.loadOlder(new Event('click'))).toEqual([])
    expect(sse!.data.value).toEqual([9])
    sse!.connect(`${server.url}other`)
    expect(await sse!.loadOlder()).toEqual([])
    expect(server.exchanges.filter(x => x.isPoll).map(x => [x.url.pathname, x.query.before, x.query.limit])).toEqual([['/', 'e1.9', '2'], ['/', 'e1.7', '50'], ['/other', 'e5.1', '50']])
  })

  it('with `share` and `channel`, each call loads its own; a page of the URL before is rejected', async () => {
    const answers: (() => void)[] = []
    server.script((x) => {
      if (!x.isPoll) return two(message(5, 'a:e1.5', 'a') + message(6, 'b:e2.6', 'b'))(x)
      const answer = () => x.status(200, { type: 'page', messages: [{ id: `${x.query.channel}:e1.1`, channel: x.query.channel, data: 1 }], hasOlder: true })
      if (x.query.limit === '9') answers.push(answer)
      else answer()
    })
    const [a, b] = await mount({ ...LIST, share: 'page', channel: 'a' }, { ...LIST, share: 'page', channel: 'b' })
    await eventually(() => expect([a!.data.value, b!.data.value]).toEqual([[5], [6]]))
    expect((await Promise.all([a!.loadOlder(), b!.loadOlder()])).flat().map(one => one.channel)).toEqual(['a', 'b'])
    expect(server.exchanges.filter(x => x.isPoll).map(x => x.query.before).sort()).toEqual(['a:e1.5', 'b:e2.6'])
    const page = a!.loadOlder(9).catch(error => error)
    await eventually(() => expect(answers).toHaveLength(1))
    a!.restart()
    answers[0]!()
    expect(await page).toMatchObject({ code: 'ABORTED' })
  })
})
