import { mountSuspended } from '@nuxt/test-utils/runtime'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { KeepAlive, Suspense, defineComponent, effectScope, h, nextTick, onMounted, ref } from 'vue'
import { useRuntimeConfig } from '#imports'
import { useSSE } from '../../src/runtime/app/composables/use-sse'
import type { UseSSEOptions, UseSSEReturn } from '../../src/runtime/app/composables/use-sse'
import type { SSEMessage } from '../../src/runtime/shared/types'
import type { ScriptedServer } from '../support/scripted-server'
import { control, message, startScriptedServer } from '../support/scripted-server'
import { eventually } from '../support/conditions'

type Options = UseSSEOptions<SSEMessage<number>, number | undefined>
const QUICK = { reconnect: { minDelayMs: 1, maxDelayMs: 2 } } satisfies Options
const END = control({ type: 'end' })

let server: ScriptedServer
const mounted: { unmount(): void }[] = []

beforeEach(async () => {
  server = await startScriptedServer()
})
afterEach(async () => {
  for (const wrapper of mounted.splice(0)) wrapper.unmount()
  await server.close()
})

async function mount(options: Options = {}, url: Parameters<typeof useSSE>[0] = server.url) {
  let sse!: UseSSEReturn<SSEMessage<number>, number | undefined>
  const wrapper = await mountSuspended(defineComponent({
    setup() {
      sse = useSSE<number>(url as string, { ...QUICK, ...options })
      return () => h('p', sse.status.value)
    },
  }))
  mounted.push(wrapper)
  return { sse, wrapper }
}

describe('useSSE', () => {
  it('maps the client to refs', async () => {
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1') + message(2, 'e1.2', 'named')))
    const { sse, wrapper } = await mount({ keep: 10 })
    await eventually(() => expect(sse.data.value).toBe(2))
    expect(sse.message.value).toEqual({ id: 'e1.2', event: 'named', data: 2 })
    expect(sse.messages.value.map(one => one.data)).toEqual([1, 2])
    expect([sse.status.value, sse.position.value, sse.transport.value, sse.attempt.value, sse.ended.value, sse.error.value, sse.gap.value]).toEqual(['connected', 'e1.2', 'stream', 0, false, undefined, undefined])
    expect(wrapper.text()).toBe('connected')
  })

  // @guarantee every-message
  it('ten messages in one tick, also equal ones, reach callbacks and reduce, and the refs show the last', async () => {
    server.script(x => x.open().write(Array.from({ length: 10 }, () => message(7)).join('') + message(8, undefined, 'other')).end(END))
    const seen: number[] = []
    const others: number[] = []
    const every: number[] = []
    const { sse } = await mount({ initial: 0, reduce: (sum = 0, one) => sum + one.data, keep: 3, on: { message: one => seen.push(one.data), other: one => others.push(one.data) } })
    sse.on('*', one => every.push(one.data))
    await eventually(() => expect(sse.ended.value).toBe(true))
    expect(seen).toEqual(Array.from({ length: 10 }).fill(7))
    expect(others).toEqual([8])
    expect(every).toHaveLength(11)
    expect(sse.data.value).toBe(78)
    expect(sse.messages.value.map(one => one.data)).toEqual([7, 7, 8])
    expect(sse.status.value).toBe('closed')
  })

  it('a callback that removes and registers itself again runs once, and one that was removed meanwhile does not run', { timeout: 5_000 }, async () => {
    server.script(x => x.open().write(message(1)))
    const { sse } = await mount({ immediate: false })
    const seen: string[] = []
    const again = () => {
      if (seen.push('again') > 100) return
      off()
      off = sse.on('*', again)
      offNever()
    }
    let off = sse.on('*', again)
    const offNever = sse.on('*', () => seen.push('never'))
    sse.on('*', () => seen.push('last'))
    sse.connect()
    await eventually(() => expect(seen).toContain('last'))
    expect(seen).toEqual(['again', 'last'])
  })

  it('removes a callback', async () => {
    server.script(x => x.open().write(message(1)))
    const { sse } = await mount({ immediate: false })
    const seen: string[] = []
    const off = sse.on('*', () => seen.push('off'))
    sse.on('*', () => seen.push('on'))
    off()
    sse.connect()
    await eventually(() => expect(sse.data.value).toBe(1))
    expect(seen).toEqual(['on'])
  })

  it('an error in a callback or a reduce is reported and loses no message', async () => {
    const reported = vi.spyOn(console, 'error').mockImplementation(() => {})
    server.script(x => x.open().write(message(1) + message(2) + message(3)).end(END))
    const seen: number[] = []
    const { sse } = await mount({
      initial: 0,
      reduce: (sum = 0, one) => {
        if (one.data === 2) throw new Error('reduce')
        return sum + one.data
      },
      on: { message: () => {
        throw new Error('callback')
      } },
    })
    sse.on('*', one => seen.push(one.data))
    await eventually(() => expect(sse.ended.value).toBe(true))
    expect(seen).toEqual([1, 2, 3])
    expect(sse.data.value).toBe(4)
    expect(reported).toHaveBeenCalledTimes(4)
    reported.mockRestore()
  })

  it('does not connect before connect() if `immediate` is false', async () => {
    server.script(x => x.open())
    const { sse } = await mount({ immediate: false })
    expect(sse.status.value).toBe('idle')
    expect(server.exchanges).toHaveLength(0)
    sse.connect()
    await eventually(() => expect(sse.status.value).toBe('connected'))
  })

  // @guarantee old-session
  it('stop() during a wait stops it; connect() during it makes no second connection', async () => {
    server.script(x => x.status(503, '', { 'retry-after': '30' }), x => x.open())
    const { sse } = await mount()
    await eventually(() => expect(sse.status.value).toBe('reconnecting'))
    expect(sse.error.value).toMatchObject({ statusCode: 503 })
    sse.connect()
    await eventually(() => expect(sse.status.value).toBe('connected'))
    expect(sse.error.value).toBeUndefined()
    expect(server.exchanges).toHaveLength(2)
    sse.stop()
    expect(sse.status.value).toBe('closed')
    await eventually(() => expect(server.exchanges[1]!.closed).toBe(true))
  })

  // @guarantee old-session
  it('bytes of an old connection never reach the new state', async () => {
    server.script(x => x.open().write(message(1)), x => x.open().write(message(2)))
    const { sse } = await mount({ keep: 10 })
    await eventually(() => expect(sse.data.value).toBe(1))
    sse.connect()
    server.exchanges[0]!.write(message(99))
    await eventually(() => expect(sse.data.value).toBe(2))
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
    expect(sse.messages.value.map(one => one.data)).toEqual([1, 2])
  })

  it('connect() continues from the position, and connect(url) starts from scratch', async () => {
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end(END), x => x.status(204), x => x.open({ position: 'e9.0' }))
    const { sse } = await mount({ keep: 10 })
    await eventually(() => expect(sse.ended.value).toBe(true))
    sse.connect()
    await eventually(() => expect(server.exchanges).toHaveLength(2))
    expect(server.exchanges[1]!.position).toBe('e1.1')
    await eventually(() => expect(sse.status.value).toBe('closed'))
    expect(sse.data.value).toBe(1)
    sse.connect(`${server.url}other`)
    expect([sse.data.value, sse.messages.value, sse.position.value]).toEqual([undefined, [], undefined])
    await eventually(() => expect(sse.position.value).toBe('e9.0'))
    expect(server.exchanges[2]!.url.pathname).toBe('/other')
    expect(server.exchanges[2]!.position).toBeUndefined()
  })

  it('a changed url drops data and position, and connects from scratch', async () => {
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')), x => x.open({ position: 'e2.0' }))
    const url = ref(`${server.url}a`)
    const { sse } = await mount({}, url)
    await eventually(() => expect(sse.data.value).toBe(1))
    url.value = `${server.url}b`
    await nextTick()
    expect(sse.data.value).toBeUndefined()
    await eventually(() => expect(sse.position.value).toBe('e2.0'))
    expect(server.exchanges.map(x => [x.url.pathname, x.position])).toEqual([['/a', undefined], ['/b', undefined]])
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
  })

  it('ends with its component', async () => {
    server.script(x => x.open())
    const { sse, wrapper } = await mount()
    await eventually(() => expect(sse.status.value).toBe('connected'))
    wrapper.unmount()
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
    expect(sse.status.value).toBe('closed')
  })

  it('connect() after its component has unmounted opens no connection', async () => {
    server.script(x => x.open())
    const { sse, wrapper } = await mount({ immediate: false })
    wrapper.unmount()
    sse.connect(server.url)
    expect(sse.status.value).toBe('idle')
    // A request of that call would have arrived before this one.
    const { sse: other } = await mount({}, `${server.url}other`)
    await eventually(() => expect(other.status.value).toBe('connected'))
    expect(server.exchanges.map(x => x.url.pathname)).toEqual(['/other'])
  })

  // @guarantee shared-close
  it('KeepAlive keeps the connection of a deactivated component', async () => {
    server.script(x => x.open())
    let sse!: UseSSEReturn<SSEMessage<number>, number | undefined>
    const visible = ref(true)
    const Child = defineComponent({
      setup() {
        sse = useSSE<number>(server.url)
        return () => h('p')
      },
    })
    const wrapper = await mountSuspended(defineComponent(() => () => h(KeepAlive, null, { default: () => visible.value ? h(Child) : h('b') })))
    mounted.push(wrapper)
    await eventually(() => expect(sse.status.value).toBe('connected'))
    visible.value = false
    await nextTick()
    server.exchanges[0]!.write(message(1))
    await eventually(() => expect(sse.data.value).toBe(1))
    visible.value = true
    await nextTick()
    expect(server.exchanges).toHaveLength(1)
  })

  it('gives up after maxAttempts, with the reason', async () => {
    server.script(x => x.status(500))
    const { sse } = await mount({ reconnect: { ...QUICK.reconnect, maxAttempts: 2 } })
    await eventually(() => expect(sse.status.value).toBe('closed'))
    expect(sse.error.value).toMatchObject({ code: 'GAVE_UP', statusCode: 500, cause: { code: 'HTTP_ERROR' } })
    expect(sse.attempt.value).toBe(2)
  })
})

describe('share', () => {
  // @guarantee shared-close
  it('the first component to leave does not close it for the other, and KeepAlive keeps its part', async () => {
    server.script(x => x.isPoll ? x.batch([], { position: 'e1.0' }) : x.open({ position: 'e1.0' }))
    const first = await mount({ share: 'page' })
    let kept!: UseSSEReturn<SSEMessage<number>, number | undefined>
    const visible = ref(true)
    const Child = defineComponent({
      setup() {
        kept = useSSE<number>(server.url, { ...QUICK, share: 'page' })
        return () => h('p')
      },
    })
    const wrapper = await mountSuspended(defineComponent(() => () => h(KeepAlive, null, { default: () => visible.value ? h(Child) : h('b') })))
    await eventually(() => expect([first.sse.status.value, kept.status.value]).toEqual(['connected', 'connected']))
    visible.value = false
    await nextTick()
    first.wrapper.unmount()
    expect(first.sse.status.value).toBe('closed')
    server.exchanges[0]!.write(message(1, 'e1.1'))
    await eventually(() => expect([kept.data.value, kept.position.value]).toEqual([1, 'e1.1']))
    expect(first.sse.data.value).toBeUndefined()
    wrapper.unmount()
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
    // A late component catches up with a poll, and opens no second stream.
    expect(server.exchanges.filter(x => !x.isPoll)).toHaveLength(1)
  })

  it('the error of a callback stays with its call until the next connection, and the feed keeps arriving', async () => {
    const reported = vi.spyOn(console, 'error').mockImplementation(() => {})
    server.script(x => x.open(), x => x.open())
    const [{ sse: throwing }, { sse: other }] = [await mount({ share: 'page' }), await mount({ share: 'page' })]
    throwing.on('message', ({ data }) => {
      if (data === 1) throw new Error('mine')
    })
    const codes = () => [throwing, other].map(({ error }) => error.value?.code)
    await eventually(() => expect([throwing.status.value, other.status.value]).toEqual(['connected', 'connected']))
    server.exchanges[0]!.write(message(1))
    await eventually(() => expect([throwing.data.value, other.data.value]).toEqual([1, 1]))
    expect(codes()).toEqual(['CALLBACK_FAILED', undefined])
    // A message, and a change of the feed that is no message.
    server.exchanges[0]!.write(message(2) + control({ type: 'gap', reason: 'epoch', missed: null, position: 'e2.0' }))
    await eventually(() => expect([throwing.gap.value, other.gap.value]).toMatchObject([{ reason: 'epoch' }, { reason: 'epoch' }]))
    expect([throwing.data.value, ...codes()]).toEqual([2, 'CALLBACK_FAILED', undefined])
    expect(throwing.error.value).toMatchObject({ retry: false, cause: { message: 'mine' } })
    server.exchanges[0]!.end(control({ type: 'leave', retryMs: 0 }))
    await eventually(() => expect(server.exchanges).toHaveLength(2))
    await eventually(() => expect([throwing.status.value, ...codes()]).toEqual(['connected', undefined, undefined]))
    expect(server.exchanges).toHaveLength(2)
    reported.mockRestore()
  })

  it('takes one of three values', async () => {
    await expect(mount({ share: 'tab' as 'page' })).rejects.toThrow('Expected `share` to be `component`, `page` or `browser`')
  })
})

describe('before mount, and below a base URL', () => {
  it('connect() in setup opens the connection, and mounting opens no second one', async () => {
    server.script(x => x.open())
    let sse!: UseSSEReturn<SSEMessage<number>, number | undefined>
    mounted.push(await mountSuspended(defineComponent(() => {
      sse = useSSE<number>(server.url)
      sse.connect()
      return () => h('p')
    })))
    await eventually(() => expect(sse.status.value).toBe('connected'))
    expect(server.exchanges).toHaveLength(1)
  })

  it('a call in onMounted connects at once, and ends with its component', async () => {
    server.script(x => x.open().write(message(1)))
    let sse!: UseSSEReturn<SSEMessage<number>, number | undefined>
    const wrapper = await mountSuspended(defineComponent({
      setup() {
        onMounted(() => sse = useSSE<number>(server.url, QUICK))
        return () => h('p')
      },
    }))
    mounted.push(wrapper)
    await eventually(() => expect(sse.data.value).toBe(1))
    wrapper.unmount()
    expect(sse.status.value).toBe('closed')
    expect(server.exchanges).toHaveLength(1)
  })

  it('an event does not count as a url: `@click="connect"` continues from the position', async () => {
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')), x => x.open({ position: 'e1.1' }).write(message(2, 'e1.2')))
    const { sse } = await mount()
    await eventually(() => expect(sse.data.value).toBe(1))
    sse.connect(new Event('click'))
    await eventually(() => expect(sse.data.value).toBe(2))
    expect(server.exchanges[1]!.position).toBe('e1.1')
  })

  it('a url that is not a string is refused', async () => {
    await expect(mount({}, (() => 5) as never)).rejects.toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining('Expected `url` to be a string') })
  })

  // @guarantee server-idle
  it('is idle in the first render, as on the server, and connects after it', async () => {
    server.script(x => x.open())
    const rendered: string[] = []
    mounted.push(await mountSuspended(defineComponent(() => {
      const { status } = useSSE<number>(server.url)
      return () => {
        rendered.push(status.value)
        return h('p', status.value)
      }
    })))
    await eventually(() => expect(rendered.at(-1)).toBe('connected'))
    expect(rendered[0]).toBe('idle')
  })

  it('puts the baseURL before the url, once', async () => {
    const asked: string[] = []
    // A url without a host cannot connect in this environment, so the test compares the url. test/e2e/browser.test.ts uses real HTTP.
    vi.stubGlobal('fetch', async (url: string) => {
      asked.push(url)
      return new Response(null, { status: 204 })
    })
    const config = useRuntimeConfig()
    const { baseURL } = config.app
    try {
      for (const base of ['/below/', '/below']) {
        config.app.baseURL = base
        for (const url of ['/api/x', '/below/api/x', '//other.test/x', 'http://other.test/x', 'api/x']) {
          const { sse } = await mount({}, url)
          await eventually(() => expect(sse.ended.value).toBe(true))
        }
      }
    }
    finally {
      config.app.baseURL = baseURL
      vi.unstubAllGlobals()
    }
    const once = ['/below/api/x', '/below/api/x', '//other.test/x', 'http://other.test/x', 'api/x']
    expect(asked).toEqual([...once, ...once])
  })

  it('an error in `until` is reported like one in a callback', async () => {
    const reported = vi.spyOn(console, 'error').mockImplementation(() => {})
    server.script(x => x.open().write(message(1) + message(2)))
    const { sse } = await mount({ until: () => {
      throw new Error('until')
    } })
    await eventually(() => expect(sse.data.value).toBe(2))
    expect(sse.error.value).toMatchObject({ code: 'CALLBACK_FAILED', retry: false, cause: { message: 'until' } })
    expect(sse.status.value).toBe('connected')
    expect(server.exchanges).toHaveLength(1)
    reported.mockRestore()
  })

  it('a callback may stop the call, and receives nothing after that', async () => {
    server.script(x => x.open().write(message(1, 'e1.1') + message(2, 'e1.2') + message(3, 'e1.3')))
    const seen: number[] = []
    const { sse } = await mount({ immediate: false })
    sse.on('*', (one) => {
      seen.push(one.data)
      if (one.data === 2) sse.stop()
    })
    sse.connect()
    await eventually(() => expect(sse.status.value).toBe('closed'))
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
    expect(seen).toEqual([1, 2])
    expect([sse.data.value, sse.position.value, sse.error.value]).toEqual([2, 'e1.2', undefined])
  })

  it('a callback may connect to another url, and receives nothing from the old one', async () => {
    server.script(x => x.open().write(message(1, 'e1.1') + message(2, 'e1.2')), x => x.open().write(message(9, 'e9.1')))
    const seen: number[] = []
    const { sse } = await mount({ immediate: false })
    sse.on('*', (one) => {
      seen.push(one.data)
      if (one.data === 1) sse.connect(`${server.url}other`)
    })
    sse.connect()
    await eventually(() => expect(sse.data.value).toBe(9))
    expect(seen).toEqual([1, 9])
    expect(sse.position.value).toBe('e9.1')
    expect(server.exchanges[1]!.position).toBeUndefined()
  })
})

describe('deferred start', () => {
  it.each([null, undefined, ''])('a url of %j stays idle, connects when it is set, and disconnects when it is cleared', async (none) => {
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')))
    const url = ref<string | null | undefined>(none)
    const { sse } = await mount({}, url as never)
    expect(sse.status.value).toBe('idle')
    sse.connect()
    expect(sse.status.value).toBe('idle')
    url.value = `${server.url}room`
    await eventually(() => expect(sse.data.value).toBe(1))
    url.value = none
    await nextTick()
    expect([sse.status.value, sse.data.value, sse.position.value, sse.message.value]).toEqual(['idle', undefined, undefined, undefined])
    await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
    sse.connect()
    expect([sse.status.value, server.exchanges.map(x => x.url.pathname)]).toEqual(['idle', ['/room']])
  })

  it('connect(url) sets the url for useSSE() without one, and for a getter of `undefined`', async () => {
    server.script(x => x.open().write(message(1)))
    for (const url of [undefined, () => undefined]) {
      const { sse } = await mount({}, url as never)
      sse.connect(server.url)
      await eventually(() => expect(sse.data.value).toBe(1))
    }
  })

  it('`enabled` starts from scratch when it becomes true, and clears the state when it becomes false', async () => {
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')))
    const enabled = ref(false)
    const { sse } = await mount({ enabled })
    sse.connect()
    sse.connect(server.url)
    expect([sse.status.value, server.exchanges.length]).toEqual(['idle', 0])
    for (const count of [1, 2]) {
      enabled.value = true
      await eventually(() => expect([sse.data.value, server.exchanges.length]).toEqual([1, count]))
      expect(server.exchanges.at(-1)!.position).toBeUndefined()
      enabled.value = false
      await nextTick()
      expect([sse.status.value, sse.data.value, sse.position.value]).toEqual(['idle', undefined, undefined])
      await eventually(() => expect(server.exchanges.at(-1)!.closed).toBe(true))
    }
  })

  it('`enabled` does not replace connect(), and continues with the url of connect()', async () => {
    server.script(x => x.open().write(message(1)))
    const enabled = ref(true)
    const { sse } = await mount({ enabled, immediate: false })
    const toggle = async () => {
      for (const value of [false, true]) {
        enabled.value = value
        await nextTick()
      }
    }
    await toggle()
    expect([sse.status.value, server.exchanges.length]).toEqual(['idle', 0])
    sse.connect(`${server.url}chosen`)
    await eventually(() => expect(sse.data.value).toBe(1))
    await toggle()
    await eventually(() => expect(server.exchanges.map(x => x.url.pathname)).toEqual(['/chosen', '/chosen']))
  })

  it('restart() drops data and position, and connects to the same url', async () => {
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')))
    const { sse } = await mount()
    await eventually(() => expect(sse.data.value).toBe(1))
    sse.restart()
    expect([sse.data.value, sse.position.value]).toEqual([undefined, undefined])
    await eventually(() => expect(sse.data.value).toBe(1))
    expect(server.exchanges.map(x => x.position)).toEqual([undefined, undefined])
  })
})

describe('before mount', () => {
  /** Runs a call in `setup`, and renders its state. */
  async function mountWith(act: (sse: UseSSEReturn<SSEMessage<number>, number | undefined>) => void, options: Options = {}) {
    let sse!: UseSSEReturn<SSEMessage<number>, number | undefined>
    const rendered: string[] = []
    mounted.push(await mountSuspended(defineComponent(() => {
      sse = useSSE<number>(server.url, { ...QUICK, ...options })
      act(sse)
      return () => {
        rendered.push(sse.status.value)
        return h('p', sse.status.value)
      }
    })))
    return { sse, rendered }
  }

  it('stop() keeps the call idle', async () => {
    server.script(x => x.open())
    const { sse } = await mountWith(sse => sse.stop())
    const { sse: other } = await mount({}, `${server.url}other`)
    await eventually(() => expect(other.status.value).toBe('connected'))
    expect([sse.status.value, server.exchanges.map(x => x.url.pathname)]).toEqual(['idle', ['/other']])
    sse.connect()
    await eventually(() => expect(sse.status.value).toBe('connected'))
  })

  it.each([
    ['connect()', (sse: { connect(url?: string): void }) => sse.connect(), '/'],
    ['connect(url)', (sse: { connect(url?: string): void }) => sse.connect(`${server.url}other`), '/other'],
  ])('%s waits for the mount, so that the first render matches the server', async (_, act, pathname) => {
    server.script(x => x.open())
    for (const immediate of [true, false]) {
      const before = server.exchanges.length
      const { sse, rendered } = await mountWith(act, { immediate })
      await eventually(() => expect(sse.status.value).toBe('connected'))
      expect(rendered[0]).toBe('idle')
      expect(server.exchanges.slice(before).map(x => x.url.pathname)).toEqual([pathname])
    }
  })

  it('the last call in setup counts', async () => {
    server.script(x => x.open())
    const { sse } = await mountWith((sse) => {
      sse.connect(`${server.url}first`)
      sse.stop()
      sse.connect(`${server.url}second`)
    })
    await eventually(() => expect(sse.status.value).toBe('connected'))
    expect(server.exchanges.map(x => x.url.pathname)).toEqual(['/second'])
  })

  it('a call in a separate scope, as in a store, connects although its component never mounts', async () => {
    server.script(x => x.open().write(message(1)))
    const scope = effectScope(true)
    let sse!: UseSSEReturn<SSEMessage<number>, number | undefined>
    const Left = defineComponent({
      async setup() {
        scope.run(() => sse = useSSE<number>(server.url))
        // As with `await navigateTo()` in a page that is left.
        await new Promise(() => {})
        return () => h('p')
      },
    })
    const visible = ref(true)
    const wrapper = await mountSuspended(defineComponent(() => () => visible.value ? h(Suspense, null, { default: () => h(Left), fallback: () => h('i') }) : h('b')))
    visible.value = false
    await nextTick()
    wrapper.unmount()
    await eventually(() => expect(sse.data.value).toBe(1))
    scope.stop()
    expect(sse.status.value).toBe('closed')
    expect(server.exchanges).toHaveLength(1)
  })
})
