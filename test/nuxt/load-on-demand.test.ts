import { mountSuspended } from '@nuxt/test-utils/runtime'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { defineComponent, h } from 'vue'
import { useSSE } from '../../src/runtime/app/composables/use-sse'
import type { UseSSEOptions, UseSSEReturn } from '../../src/runtime/app/composables/use-sse'
import type { SSEMessage } from '../../src/runtime/shared/types'
import { eventually } from '../support/conditions'
import type { ScriptedServer } from '../support/scripted-server'
import { control, message, startScriptedServer } from '../support/scripted-server'

const CODE = '../../src/runtime/client/read-state'
const QUICK = { reconnect: { minDelayMs: 1, maxDelayMs: 2 } }
type Numbers = number[]

let server: ScriptedServer
let isMissing: boolean
let loads: number
const mounted: { unmount(): void }[] = []

beforeEach(async () => {
  server = await startScriptedServer()
  isMissing = true
  loads = 0
  vi.resetModules()
  vi.doMock(CODE, async (actual) => {
    loads++
    if (isMissing) throw new TypeError('Failed to fetch dynamically imported module')
    return await actual<object>()
  })
})
afterEach(async () => {
  for (const wrapper of mounted.splice(0)) wrapper.unmount()
  vi.doUnmock(CODE)
  await server.close()
})

async function mount(options: UseSSEOptions<SSEMessage, Numbers>): Promise<UseSSEReturn<SSEMessage, Numbers>> {
  let sse!: UseSSEReturn<SSEMessage, Numbers>
  mounted.push(await mountSuspended(defineComponent({
    setup() {
      sse = useSSE<unknown, Numbers>(server.url, { ...QUICK, initial: [], reduce: (all, { data }) => [...all, data as number], ...options })
      return () => h('p', sse.status.value)
    },
  })))
  return sse
}

const open = (position: string) => control({ type: 'open', heartbeatMs: 0, position, resumed: true })

describe('the code of `load`', () => {
  it('is loaded before the first request, is tried again until it has arrived, and stays for reconnects', async () => {
    server.script(
      x => x.stream(open('e1.2') + message(3, 'e1.3')),
      x => x.stream(open('e1.3') + message(4, 'e1.4')),
    )
    const load = vi.fn(() => ({ data: [1, 2], position: 'e1.2' }))
    const sse = await mount({ load })
    // The first load of the code is that of setup.
    await eventually(() => expect(loads).toBeGreaterThan(2))
    await eventually(() => expect(sse.error.value).toMatchObject({ code: 'NETWORK', message: 'Part of the client failed to load', retry: true }))
    expect([sse.status.value, load.mock.calls, server.exchanges]).toEqual(['reconnecting', [], []])
    isMissing = false
    await eventually(() => expect(sse.data.value).toEqual([1, 2, 3]))
    const before = loads
    server.exchanges[0]!.end()
    await eventually(() => expect(sse.data.value).toEqual([1, 2, 3, 4]))
    expect(load).toHaveBeenCalledOnce()
    expect(loads).toBe(before)
  })

  it('gives up after `maxAttempts` if it never arrives', async () => {
    const sse = await mount({ load: () => ({ data: [1], position: 'e1.2' }), reconnect: { ...QUICK.reconnect, maxAttempts: 3 } })
    await eventually(() => expect(sse.status.value).toBe('closed'))
    expect(sse.error.value).toMatchObject({ code: 'GAVE_UP', cause: { code: 'NETWORK' } })
    expect(server.exchanges).toEqual([])
  })
})
