import { mountSuspended } from '@nuxt/test-utils/runtime'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { defineComponent, h, nextTick, ref } from 'vue'
import type { Ref } from 'vue'
import { useSSE } from '../../src/runtime/app/composables/use-sse'
import type { UseSSEOptions, UseSSEReturn } from '../../src/runtime/app/composables/use-sse'
import type * as Sharing from '../../src/runtime/client/sharing/shared-client'
import type { SSEMessage } from '../../src/runtime/shared/types'
import { eventually } from '../support/conditions'
import type { ScriptedServer } from '../support/scripted-server'
import { control, message, startScriptedServer } from '../support/scripted-server'

const SHARING = '../../src/runtime/client/sharing/shared-client'
const ELECTION = '../../src/runtime/client/sharing/election'
const END = control({ type: 'end' })

type Options = UseSSEOptions<SSEMessage, unknown>
interface Call { sse: UseSSEReturn<SSEMessage, unknown>, statuses: string[], unmount: () => void }

let server: ScriptedServer
const calls: Call[] = []
/** Delivers the code of sharing when the test resolves it. */
let arrive: () => void
let fail: () => void
let loads: number

beforeEach(async () => {
  server = await startScriptedServer()
  loads = 0
  vi.resetModules()
  const arrived = new Promise<void>((resolve, reject) => {
    arrive = resolve
    fail = () => reject(new TypeError('Failed to fetch dynamically imported module'))
  })
  arrived.catch(() => {})
  vi.doMock(SHARING, async (actual) => {
    loads++
    await arrived
    return await actual<typeof Sharing>()
  })
})
afterEach(async () => {
  for (const call of calls.splice(0)) call.unmount()
  vi.doUnmock(SHARING)
  vi.restoreAllMocks()
  await server.close()
})

async function mount(options: Options = {}, url: string | Ref<string | undefined> = server.url): Promise<Call> {
  const call = { statuses: [] as string[] } as Call
  const wrapper = await mountSuspended(defineComponent({
    setup() {
      call.sse = useSSE(url as string, { share: 'page', reconnect: { minDelayMs: 1, maxDelayMs: 2 }, ...options }) as Call['sse']
      return () => h('p', call.statuses[call.statuses.push(call.sse.status.value) - 1])
    },
  }))
  call.unmount = () => wrapper.unmount()
  calls.push(call)
  return call
}

/** Connects a later call. Once it is served, an earlier one would have been, too. */
async function othersAreServed(): Promise<void> {
  const { sse } = await mount({ query: { other: true } })
  await eventually(() => expect(sse.status.value).toBe('connected'))
}

const requests = () => server.exchanges.filter(x => !x.query.other)

describe('sharing whose code is still loading', () => {
  it('connects after the code has loaded, with one connection for all', async () => {
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')))
    const both = [await mount(), await mount()]
    expect(both.map(({ sse }) => sse.status.value)).toEqual(['connecting', 'connecting'])
    await eventually(() => expect(loads).toBe(1))
    expect(server.exchanges).toEqual([])
    arrive()
    await eventually(() => expect(both.map(({ sse }) => sse.data.value)).toEqual([1, 1]))
    expect(both.map(({ statuses }) => statuses)).toEqual([['idle', 'connecting', 'connected'], ['idle', 'connecting', 'connected']])
    expect(server.exchanges).toHaveLength(1)
  })

  it.each([
    ['stop()', ({ sse }: Call) => sse.stop()],
    ['enabled: false', (_: Call, enabled: Ref<boolean>) => enabled.value = false],
    ['a url of undefined', (_: Call, __: unknown, url: Ref<string | undefined>) => url.value = undefined],
  ] as const)('stays idle without a connection after %s before the code has loaded', async (_, end) => {
    server.script(x => x.open())
    const enabled = ref(true)
    const url = ref<string | undefined>(server.url)
    const call = await mount({ enabled }, url)
    end(call, enabled, url)
    await nextTick()
    expect(call.sse.status.value).toBe('idle')
    arrive()
    await othersAreServed()
    expect([call.sse.status.value, requests()]).toEqual(['idle', []])
    // An ended call can start again.
    enabled.value = true
    url.value = server.url
    call.sse.connect()
    await eventually(() => expect(call.sse.status.value).toBe('connected'))
    expect(requests()).toHaveLength(1)
  })

  it('never connects for a component that unmounts before the code has loaded', async () => {
    server.script(x => x.open())
    const call = await mount()
    calls[0]!.unmount()
    arrive()
    await othersAreServed()
    expect(requests()).toEqual([])
    expect(call.sse.status.value).not.toBe('connected')
  })

  it('begins at the url of connect(url), or at the newest url of the option', async () => {
    server.script(x => x.open().write(message(x.url.pathname)).end(END))
    const url = ref<string | undefined>(server.url)
    const [one, two, later] = [await mount(), await mount({}, url), await mount({ immediate: false })]
    one.sse.connect(`${server.url}one`)
    url.value = `${server.url}two`
    later.sse.connect()
    await nextTick()
    arrive()
    await eventually(() => expect([one, two, later].map(({ sse }) => sse.data.value)).toEqual(['/one', '/two', '/']))
    expect(server.exchanges).toHaveLength(3)
  })

  it('stays idle with `immediate: false`, before and after the code has loaded', async () => {
    server.script(x => x.open())
    const { sse } = await mount({ immediate: false })
    expect(sse.status.value).toBe('idle')
    arrive()
    await othersAreServed()
    expect([sse.status.value, requests()]).toEqual(['idle', []])
    sse.connect()
    await eventually(() => expect(sse.status.value).toBe('connected'))
  })
})

describe('sharing whose code fails to load', () => {
  it('gives each call its own connection, and logs the reason', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')))
    const both = [await mount(), await mount()]
    fail()
    await eventually(() => expect(both.map(({ sse }) => sse.data.value)).toEqual([1, 1]))
    expect(server.exchanges).toHaveLength(2)
    expect(logged.mock.calls.map(call => call[1])).toMatchObject([{ code: 'SHARING_FAILED' }, { code: 'SHARING_FAILED' }])
    both[0]!.sse.stop()
    await eventually(() => expect(server.exchanges.map(x => x.closed)).toEqual([true, false]))
  })

  it('shares within the page if only the code for sharing between tabs fails to load', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    // The environment has no Web Locks. The test adds them, since without them the page does not load the code for sharing between tabs.
    Object.defineProperty(navigator, 'locks', { value: {}, configurable: true })
    onTestFinished(() => void Reflect.deleteProperty(navigator, 'locks'))
    vi.doMock(ELECTION, () => {
      throw new TypeError('Failed to fetch dynamically imported module')
    })
    arrive()
    server.script(x => x.open().write(message(1)))
    const both = [await mount({ share: 'browser' }), await mount({ share: 'browser' })]
    await eventually(() => expect(both.map(({ sse }) => sse.status.value)).toEqual(['connected', 'connected']))
    expect(server.exchanges).toHaveLength(1)
    expect(logged.mock.calls.map(call => call[1])).toMatchObject([{ code: 'SHARING_FAILED' }, { code: 'SHARING_FAILED' }])
    vi.doUnmock(ELECTION)
  })
})
