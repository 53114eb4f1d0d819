import { afterEach, describe, expect, it, vi } from 'vitest'
import { h, watch } from 'vue'
import { useSSE } from '../../src/runtime/app/composables/use-sse'
import type { UseSSEOptions, UseSSEReturn } from '../../src/runtime/app/composables/use-sse'
import type { SSEMessage } from '../../src/runtime/shared/types'
import { eventually } from '../support/conditions'
import { useMounting, useScriptedServer } from '../support/mounted'
import { control, message } from '../support/scripted-server'

const END = control({ type: 'end' })
const FAILED = control({ type: 'error', code: 'MINE', statusCode: 500, message: 'no', retry: true })

const server = useScriptedServer()
const mounting = useMounting()
afterEach(() => void vi.restoreAllMocks())

async function mount<State = unknown>(options: UseSSEOptions<SSEMessage<number>, State> = {}, onSetup: (sse: UseSSEReturn<SSEMessage<number>, State>) => void = () => {}) {
  const { made } = await mounting(() => {
    const sse = useSSE<number, State>(server.url, { reconnect: { minDelayMs: 1, maxDelayMs: 2 }, ...options })
    onSetup(sse)
    return sse
  }, ({ status }) => h('p', status.value))
  return made
}

describe('a source that restarts', () => {
  it('the page shows one run: data and messages reset with the first message of the next', async () => {
    server.script(x => x.open({ restarts: true }).write(message(1) + message(2)), x => x.open({ restarts: true }))
    const gaps: unknown[] = []
    const seen: number[] = []
    const sse = await mount<number[]>({ initial: () => [], reduce: (all, { data }) => [...all, data], onGap: gap => gaps.push(gap), on: { message: ({ data }) => seen.push(data) } })
    await eventually(() => expect(sse.data.value).toEqual([1, 2]))
    server.exchanges[0]!.end()
    await eventually(() => expect(sse.gap.value).toEqual({ reason: 'restarted', missed: null }))
    // The old messages stay visible until the next run yields its first one.
    expect([sse.data.value, sse.messages.value.length]).toEqual([[1, 2], 2])
    server.exchanges[1]!.write(message(3) + message(4))
    await eventually(() => expect(sse.data.value).toEqual([3, 4]))
    expect(sse.messages.value.map(({ data }) => data)).toEqual([3, 4])
    expect([gaps, seen]).toEqual([[{ reason: 'restarted', missed: null }], [1, 2, 3, 4]])
  })

  it('pushed messages stay, and the gap is unknown', async () => {
    server.script(x => x.open({ restarts: false }).write(message(1)).end(), x => x.open({ restarts: false }).write(message(2)))
    const sse = await mount<number[]>({ initial: [], reduce: (all, { data }) => [...all, data] })
    await eventually(() => expect(sse.data.value).toEqual([1, 2]))
    expect([sse.gap.value, sse.messages.value.length]).toEqual([{ reason: 'unknown', missed: null }, 2])
  })

  it('streams of other servers stay unchanged', async () => {
    server.script(x => x.stream(message(1)).end(), x => x.stream(message(1)).write(message(2)))
    const sse = await mount<number[]>({ initial: [], reduce: (all, { data }) => [...all, data] })
    await eventually(() => expect(sse.data.value).toHaveLength(3))
    expect(sse.gap.value).toBeUndefined()
  })

  it('a shared stream behaves the same', async () => {
    server.script(x => x.open({ restarts: true }).write(message(1)), x => x.open({ restarts: true }).write(message(2)))
    const sse = await mount<number[]>({ share: 'page', initial: [], reduce: (all, { data }) => [...all, data] })
    await eventually(() => expect(sse.data.value).toEqual([1]))
    server.exchanges[0]!.end()
    await eventually(() => expect(sse.data.value).toEqual([2]))
  })
})

describe('the state of a call', () => {
  it('keeps the last hundred messages by default, and none with `keep: 0`', async () => {
    server.script(x => x.open().write(Array.from({ length: 105 }, (_, n) => message(n)).join('')).end(END))
    const [some, none] = [await mount(), await mount({ keep: 0 })]
    await eventually(() => expect([some.ended.value, none.ended.value]).toEqual([true, true]))
    expect([some.messages.value.length, some.messages.value[0]!.data, none.messages.value]).toEqual([100, 5, []])
  })

  it('`initial` may be a function, which runs at each start', async () => {
    server.script(x => x.open().write(message(1)))
    let made = 0
    const sse = await mount<{ n: number, last?: number }>({ initial: () => ({ n: ++made }), reduce: (state, { data }) => ({ ...state, last: data }) })
    await eventually(() => expect(sse.data.value).toEqual({ n: made, last: 1 }))
    const before = made
    sse.restart()
    expect(sse.data.value).toEqual({ n: before + 1 })
  })

  it('`failed` is closed because of an error, and neither stopped nor complete', async () => {
    server.script(x => x.status(403))
    const [failed, stopped] = [await mount(), await mount({ immediate: false })]
    await eventually(() => expect(failed.failed.value).toBe(true))
    server.script(x => x.open().end(END))
    failed.connect()
    expect(failed.failed.value).toBe(false)
    await eventually(() => expect([failed.status.value, failed.failed.value]).toEqual(['closed', false]))
    stopped.connect()
    stopped.stop()
    expect([stopped.status.value, stopped.failed.value]).toEqual(['closed', false])
  })

  it('watchers see a change complete', async () => {
    server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end(control({ type: 'error', code: 'NO', statusCode: 403, message: 'no', retry: false })))
    const seen: unknown[] = []
    await mount({}, ({ status, error, ended, failed, data, message: last, messages }) => {
      watch(status, now => now === 'closed' && seen.push([error.value?.code, ended.value, failed.value]), { flush: 'sync' })
      watch(error, now => now && seen.push(status.value), { flush: 'sync' })
      watch(data, now => seen.push([now, last.value?.data, messages.value.length]), { flush: 'sync' })
      watch(messages, now => seen.push([now.length, data.value]), { flush: 'sync' })
    })
    await eventually(() => expect(seen).toContain('closed'))
    // The call begins without messages.
    expect(seen).toEqual([[0, undefined], [1, 1, 1], [1, 1], ['NO', false, true], 'closed'])
  })
})

describe('callbacks of the state', () => {
  it('onError runs once for each failure, with and without a retry, and onEnd once', async () => {
    server.script(x => x.status(503), x => x.status(503), x => x.open().write(message(1)).end(FAILED), x => x.open().end(END))
    const errors: [string, boolean][] = []
    const onEnd = vi.fn()
    const sse = await mount({ onError: ({ code, retry }) => errors.push([code, retry]), onEnd })
    await eventually(() => expect(sse.ended.value).toBe(true))
    expect(errors).toEqual([['HTTP_ERROR', true], ['HTTP_ERROR', true], ['MINE', true]])
    expect(onEnd).toHaveBeenCalledOnce()
    server.script(x => x.status(403))
    sse.connect()
    await eventually(() => expect(sse.failed.value).toBe(true))
    expect(errors.slice(3)).toEqual([['HTTP_ERROR', false]])
    expect(onEnd).toHaveBeenCalledOnce()
  })

  it('a callback that throws is logged, sets the error, and does not end the connection', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    server.script(x => x.open({ position: 'e1.0' }).write(control({ type: 'gap', reason: 'trimmed', missed: 1, position: 'e1.1' }, 'e1.1') + message(2, 'e1.2')))
    const told: string[] = []
    const sse = await mount({
      onGap() {
        throw new Error('gap')
      },
      onError({ code, cause }) {
        told.push(`${code} ${(cause as Error).message}`)
        throw new Error('error')
      },
    })
    await eventually(() => expect(sse.data.value).toBe(2))
    expect(told).toEqual(['CALLBACK_FAILED gap'])
    expect(sse.error.value).toMatchObject({ code: 'CALLBACK_FAILED', cause: { message: 'error' } })
    expect(logged).toHaveBeenCalledTimes(2)
  })
})
