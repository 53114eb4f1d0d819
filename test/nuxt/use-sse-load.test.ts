import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { computed, effectScope, h, nextTick, ref } from 'vue'
import type { SSELoadContext } from '../../src/runtime/app/call'
import { useSSE } from '../../src/runtime/app/composables/use-sse'
import type { UseSSEOptions } from '../../src/runtime/app/composables/use-sse'
import type { SSEShare } from '../../src/runtime/client/types'
import type { SSEMessage, SSESnapshot } from '../../src/runtime/shared/types'
import { inProcessFetch } from '../http/client/model/in-process'
import type { Entry, Wire } from '../http/client/model/server'
import { ModelServer } from '../http/client/model/server'
import { eventually } from '../support/conditions'
import { useMounting, useScriptedServer } from '../support/mounted'
import { control, message } from '../support/scripted-server'
import { settled } from '../support/virtual-clock'

type Numbers = number[]
const QUICK = { reconnect: { minDelayMs: 1, maxDelayMs: 2 } }

const server = useScriptedServer()
const mounting = useMounting()

async function mount<State>(options: UseSSEOptions<SSEMessage, State>, url: unknown = server.url) {
  const { made: sse, wrapper } = await mounting(() => useSSE<unknown, State>(url as string, { ...QUICK, ...options }), ({ status, data }) => h('p', JSON.stringify([status.value, data.value])))
  return { sse, wrapper }
}

const open = (position: string) => control({ type: 'open', heartbeatMs: 0, position, resumed: true })
const append = (all: Numbers, { data }: SSEMessage) => [...all, data as number]

describe('load', () => {
  it.each<[string, SSEShare | undefined, string[]]>([
    ['the position of that channel', undefined, ['e1.2', 'e2.12']],
    ['the whole position', undefined, ['notes:f1.1,feed:e1.2', 'notes:f1.1,feed:e2.12']],
    ['the position of that channel', 'page', ['e1.2', 'e2.12']],
    ['the whole position', 'page', ['notes:f1.1,feed:e1.2', 'notes:f1.1,feed:e2.12']],
  ])('with `channel` gives the state of one channel, with %s (share: %s)', async (_, share, positions) => {
    const of = (data: number, id: string) => message(data, id, id.split(':')[0])
    const channel = (position: string, resumed = false) => ({ position, resumed, ended: false, gap: null })
    server.script(
      x => x.stream(control({ type: 'open', heartbeatMs: 0, position: 'notes:f1.1,feed:e1.2', resumed: false, channels: { notes: channel('f1.1'), feed: channel('e1.2', true) } }) + of(70, 'notes:f1.2') + of(3, 'feed:e1.3')),
      x => x.batch([], { position: 'notes:f1.9,feed:e2.12', channels: { notes: channel('f1.9'), feed: channel('e2.12') } }),
    )
    let call = 0
    const { sse, wrapper } = await mount<Numbers>({ channel: 'feed', share, initial: [], load: () => ({ data: call ? [11, 12] : [1, 2], position: positions[call++]! }), reduce: append })
    await eventually(() => expect(wrapper.text()).toBe('["connected",[1,2,3]]'))
    expect([sse.position.value, server.exchanges[0]!.position]).toEqual(['e1.3', 'feed:e1.2'])
    server.exchanges[0]!.write(control({ type: 'gap', channel: 'notes', reason: 'trimmed', missed: 7, position: 'f1.9' }) + of(4, 'feed:e1.4'))
    await eventually(() => expect(sse.data.value).toEqual([1, 2, 3, 4]))
    expect([call, sse.gap.value, sse.status.value]).toEqual([1, undefined, 'connected'])
    server.exchanges[0]!.write(control({ type: 'gap', channel: 'feed', reason: 'epoch', missed: null, position: 'e2.10' }) + of(11, 'feed:e2.11') + of(12, 'feed:e2.12') + of(13, 'feed:e2.13'))
    await eventually(() => expect(wrapper.text()).toBe('["connected",[11,12,13]]'))
    expect([call, sse.gap.value?.channel, sse.position.value]).toEqual([2, 'feed', 'e2.13'])
  })

  it.each([undefined, 'page' as const])('gives `data` before the first connection and after a gap, and messages follow it (share: %s)', async (share) => {
    server.script(
      x => x.stream(open('e1.2') + message(3, 'e1.3')),
      x => x.stream(open('e1.12') + message(13, 'e1.13')),
    )
    const gives: ((state: SSESnapshot<Numbers>) => void)[] = []
    const { sse, wrapper } = await mount<Numbers>({ share, initial: [], load: () => new Promise(resolve => gives.push(resolve)), reduce: append, keep: 2 })
    await eventually(() => expect(gives).toHaveLength(1))
    expect(wrapper.text()).toBe('["connecting",[]]')
    gives[0]!({ data: [1, 2], position: 'e1.2' })
    await eventually(() => expect(wrapper.text()).toBe('["connected",[1,2,3]]'))
    expect(sse.position.value).toBe('e1.3')
    if (share) return
    server.exchanges[0]!.write(control({ type: 'gap', reason: 'trimmed', missed: 7, position: 'e1.10' }) + message(11, 'e1.11'))
    await eventually(() => expect(gives).toHaveLength(2))
    expect(wrapper.text()).toBe('["reconnecting",[1,2,3]]')
    gives[1]!({ data: [11, 12], position: 'e1.12' })
    await eventually(() => expect(wrapper.text()).toBe('["connected",[11,12,13]]'))
    expect(sse.gap.value).toMatchObject({ reason: 'trimmed', missed: 7 })
    expect(sse.messages.value.map(({ data }) => data)).toEqual([3, 13])
    expect(server.exchanges.map(x => x.position)).toEqual(['e1.2', 'e1.12'])
  })

  it('gets `$fetch` and a signal, which is aborted when the component is unmounted', async () => {
    let context!: SSELoadContext
    const { wrapper } = await mount<Numbers>({ initial: [], load: given => new Promise(() => context = given), reduce: append })
    await eventually(() => expect(context).toBeDefined())
    expect(typeof context.$fetch).toBe('function')
    expect(context.signal.aborted).toBe(false)
    wrapper.unmount()
    expect(context.signal.aborted).toBe(true)
  })

  it('reports a failure as `error`, keeps the data, and stays failed where it is final', async () => {
    const errors: string[] = []
    const { sse } = await mount<Numbers>({
      initial: [7],
      load: () => Promise.reject(Object.assign(new Error('Sign in'), { statusCode: 401 })),
      reduce: append,
      onError: ({ code, statusCode, retry }) => void errors.push(`${code} ${statusCode} ${retry}`),
    })
    await eventually(() => expect(sse.status.value).toBe('closed'))
    expect([sse.failed.value, sse.data.value, errors]).toEqual([true, [7], ['LOAD_FAILED 401 false']])
    expect(server.exchanges).toHaveLength(0)
  })

  it('with another URL, `enabled` and restart() the old one is aborted, and `data` is `initial` until the new one', async () => {
    server.script(x => x.stream(open('e1.0')))
    const url = ref(`${server.url}a`)
    const enabled = ref(true)
    const calls: { url: string, signal: AbortSignal, give: (state: SSESnapshot<Numbers>) => void }[] = []
    const { sse } = await mount<Numbers>({ enabled, initial: [], load: ({ signal }) => new Promise(give => calls.push({ url: url.value, signal, give })), reduce: append }, url)
    await eventually(() => expect(calls).toHaveLength(1))
    url.value = `${server.url}b`
    await eventually(() => expect(calls).toHaveLength(2))
    calls[0]!.give({ data: [1], position: 'e1.0' })
    enabled.value = false
    await nextTick()
    calls[1]!.give({ data: [2], position: 'e1.0' })
    await settled()
    expect([sse.status.value, sse.data.value, sse.position.value]).toEqual(['idle', [], undefined])
    enabled.value = true
    await eventually(() => expect(calls).toHaveLength(3))
    sse.restart()
    await eventually(() => expect(calls).toHaveLength(4))
    expect(calls.map(({ signal }) => signal.aborted)).toEqual([true, true, true, false])
    calls[2]!.give({ data: [3], position: 'e1.0' })
    calls[3]!.give({ data: [4], position: 'e1.0' })
    await eventually(() => expect([sse.status.value, sse.data.value]).toEqual(['connected', [4]]))
    expect(server.exchanges).toHaveLength(1)
    sse.restart()
    expect(sse.data.value).toEqual([])
  })
})

describe('position', () => {
  it.each([
    ['a ref', () => ref<string | undefined>('e1.7')],
    ['a computed', () => computed(() => 'e1.7')],
    ['a getter', () => () => 'e1.7'],
    ['a value', () => 'e1.7'],
  ])('may be %s', async (_, position) => {
    server.script(x => x.stream(open('e1.7')))
    const { sse } = await mount({ position: position() })
    await eventually(() => expect(sse.status.value).toBe('connected'))
    expect(server.exchanges.map(x => x.position)).toEqual(['e1.7'])
  })

  it('is read at the first connection of each URL, and not watched', async () => {
    server.script(x => x.stream(open(x.position!) + message(1, 'e1.4')), x => x.stream(open(x.position!)))
    const position = ref('e1.1')
    const url = ref<string | undefined>()
    const { sse } = await mount({ position }, url)
    position.value = 'e1.3'
    url.value = `${server.url}a`
    await eventually(() => expect(sse.status.value).toBe('connected'))
    position.value = 'e1.6'
    await eventually(() => expect(sse.position.value).toBe('e1.4'))
    await settled()
    sse.stop()
    sse.connect()
    await eventually(() => expect(sse.status.value).toBe('connected'))
    url.value = `${server.url}b`
    await eventually(() => expect(server.exchanges).toHaveLength(3))
    expect(server.exchanges.map(x => x.position)).toEqual(['e1.3', 'e1.4', 'e1.6'])
  })

  it.each(['page' as const])('is read the same with `share`', async (share) => {
    server.script(x => x.stream(open('e1.9')))
    const position = ref('e1.1')
    const { sse } = await mount({ position, share, immediate: false })
    position.value = 'e1.9'
    sse.connect()
    await eventually(() => expect(sse.status.value).toBe('connected'))
    expect(server.exchanges.map(x => x.position)).toEqual(['e1.9'])
  })
})

/** State of a list as its last change, and the log that it belongs to. */
interface Last { path: string, at: string }

describe('load, superseded in every way', () => {
  const RUNS = 500 * Number(process.env.SSE_RUNS ?? 1)
  const act = fc.constantFrom('load', 'load', 'load', 'load too late', 'fail', 'refuse', 'gap', 'gap', 'lose', 'publish', 'publish', 'url', 'off', 'on', 'restart', 'connect', 'stop', 'tick')

  it(`${RUNS} interleavings with unmounts: one load at a time, no aborted one writes, and no message reaches a state that is replaced`, async () => {
    let superseded = 0
    let reloads = 0
    /** Runs in which the call was unmounted during a load. */
    let unmountedLoads = 0
    await fc.assert(fc.asyncProperty(fc.array(act, { minLength: 3, maxLength: 20 }), fc.boolean(), async (acts, unmounted) => {
      const model = new ModelServer(() => {})
      const violations: string[] = []
      const url = ref('http://model/1')
      const enabled = ref(true)
      const calls: { path: string, signal: AbortSignal, settle: (position?: string, statusCode?: number) => void, aborted?: true }[] = []
      const alive = () => calls.filter(({ signal }) => !signal.aborted)
      let isStale = true
      const path = () => new URL(url.value).pathname
      const scope = effectScope()
      const sse = scope.run(() => useSSE<unknown, Last | undefined>(url, {
        ...QUICK,
        enabled,
        transports: ['stream'],
        fetch: inProcessFetch((wire: Wire) => {
          if (isStale) violations.push('a connection without a state')
          model.wires.push(wire)
          model.honest(wire)
        }, () => Promise.reject(new TypeError('none'))),
        load: ({ signal }) => new Promise((resolve, reject) => {
          if (alive().length) violations.push('two loads at a time')
          const own = path()
          if (calls.length) reloads++
          calls.push({ path: own, signal, settle: (position, statusCode) => {
            calls.splice(calls.findIndex(call => call.signal === signal && call.path === own), 1)
            if (signal.aborted) superseded++
            else if (position) isStale = false
            if (position) resolve({ data: { path: signal.aborted ? 'aborted' : own, at: position }, position })
            else reject(Object.assign(new Error('no'), { statusCode }))
          } })
        }),
        reduce: (last, { id, data }) => {
          const { path: from } = data as Entry
          if (isStale) violations.push(`${id} is reduced into a state that is about to be replaced`)
          const [epoch, offset] = last!.at.split('.')
          if (from !== last!.path || id !== `${epoch}.${+offset! + 1}`) violations.push(`${id} of ${from} after ${JSON.stringify(last)}`)
          return { path: from, at: id! }
        },
        onGap: () => void (isStale = true),
      }))!
      const last = () => {
        const { epoch, head } = model.log(path())
        return `e${epoch}.${head}`
      }
      const oldest = () => calls.find(({ signal }) => signal.aborted)
      for (const one of acts) {
        const current = alive()[0]
        if (one === 'url' || one === 'off' || (one === 'restart' && enabled.value)) isStale = true
        if (one === 'load') current?.settle(last())
        else if (one === 'load too late') (oldest() ?? current)?.settle('e1.0')
        else if (one === 'fail') current?.settle(undefined, 500)
        else if (one === 'refuse') current?.settle(undefined, 403)
        else if (one === 'gap') model.live.forEach(answer => model.gap(answer))
        else if (one === 'lose') model.lose(path())
        else if (one === 'publish') model.publish(path(), 1)
        else if (one === 'url') url.value = path() === '/1' ? 'http://model/2' : 'http://model/1'
        else if (one === 'off') enabled.value = false
        else if (one === 'on') enabled.value = true
        else if (one === 'restart') sse.restart()
        else if (one === 'connect') sse.connect()
        else if (one === 'stop') sse.stop()
        else await new Promise(resolve => setTimeout(resolve, 3))
        await settled()
        if (['idle', 'closed'].includes(sse.status.value) && alive().length) violations.push(`a load while ${sse.status.value}`)
        if (sse.data.value?.path === 'aborted') violations.push('an aborted load is shown')
        expect(violations).toEqual([])
      }
      if (unmounted) {
        if (alive().length) unmountedLoads++
        const shown = sse.data.value
        scope.stop()
        await settled()
        expect([alive(), model.open]).toEqual([[], []])
        for (const call of [...calls]) call.settle(last())
        enabled.value = false
        url.value = 'http://model/3'
        await settled()
        expect([sse.data.value, calls, model.open, violations]).toEqual([shown, [], [], []])
        return
      }
      enabled.value = true
      for (let round = 0; round < 1_000 && !(sse.status.value === 'connected' && sse.data.value?.at === last()); round++) {
        if (['idle', 'closed'].includes(sse.status.value)) sse.connect()
        for (const call of [...calls]) call.settle(last())
        await new Promise(resolve => setTimeout(resolve, 1))
      }
      expect([sse.status.value, sse.data.value]).toEqual(['connected', { path: path(), at: last() }])
      scope.stop()
      await settled()
      expect([alive(), model.open, violations]).toEqual([[], [], []])
    }), { numRuns: RUNS, endOnFailure: true })
    expect(superseded).toBeGreaterThan(RUNS / 10)
    expect(reloads).toBeGreaterThan(RUNS / 10)
    expect(unmountedLoads).toBeGreaterThan(RUNS / 20)
  }, 120_000)
})
