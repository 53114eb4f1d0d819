import { describe, expect, it, vi } from 'vitest'
import type { SSEMessage, SSESnapshot } from '../../../src/runtime/shared/types'
import { SSEError } from '../../../src/runtime/shared/errors'
import { eventually } from '../../support/conditions'
import { follow } from '../../support/follower'
import type { Exchange } from '../../support/scripted-server'
import { control, message } from '../../support/scripted-server'
import { useSSEServer } from '../../support/sse-server'
import { MARK, useHarness } from './harness'

const harness = useHarness()

const sum = (state: number, { data }: SSEMessage) => state + (data as number)
const at = (data: number, position: string): SSESnapshot<number> => ({ data, position })
const open = (x: Exchange, position: string, resumed = true) => x.stream(control({ type: 'open', heartbeatMs: 0, position, resumed }), MARK)
const gap = (position: string, reason = 'trimmed') => control({ type: 'gap', reason, missed: null, position })

/** Follows with states that are given one after the other; the last one repeats. */
function followEach(states: (SSESnapshot<number> | Error | unknown)[], options: Partial<Parameters<typeof follow<number>>[1]> = {}) {
  let next = 0
  return follow<number>(harness.server.url, {
    load: () => {
      const state = states[Math.min(next++, states.length - 1)]
      if (state instanceof Error) throw state
      return state as SSESnapshot<number>
    },
    reduce: sum,
    initial: -1,
    ...options,
  })
}

function refusal(statusCode: number, fields: object = {}): Error {
  return Object.assign(new Error('refused'), { statusCode, ...fields })
}

describe('load', () => {
  it('runs before the first connection, which asks for what follows its position', async () => {
    harness.server.script(x => open(x, 'e1.7').write(message(1, 'e1.8') + message(2, 'e1.9')))
    let give!: (state: SSESnapshot<number>) => void
    const one = follow<number>(harness.server.url, { load: () => new Promise(resolve => give = resolve), reduce: sum, initial: -1 })
    await eventually(() => expect(give).toBeDefined())
    expect([one.client.state.status, one.data, harness.server.exchanges]).toEqual(['connecting', -1, []])
    give(at(100, 'e1.7'))
    await eventually(() => expect(one.data).toBe(103))
    expect(harness.server.exchanges.map(x => x.position)).toEqual(['e1.7'])
    expect(one.client.state).toMatchObject({ status: 'connected', position: 'e1.9', gap: undefined, error: undefined })
    expect(one.loads).toBe(1)
  })

  it('runs again after a gap, while the old state stays, and no message in between reaches it', async () => {
    harness.server.script(
      x => open(x, 'e1.7').write(message(1, 'e1.8') + gap('e1.20') + message(1_000, 'e1.21')),
      x => open(x, 'e1.30').write(message(5, 'e1.31')),
    )
    const gives: ((state: SSESnapshot<number>) => void)[] = []
    const one = follow<number>(harness.server.url, { load: () => new Promise(resolve => gives.push(resolve)), reduce: sum, initial: -1 })
    await eventually(() => expect(gives).toHaveLength(1))
    gives[0]!(at(100, 'e1.7'))
    await eventually(() => expect(gives).toHaveLength(2))
    expect(one.data).toBe(101)
    expect(one.client.state).toMatchObject({ status: 'reconnecting', error: undefined, attempt: 0, gap: { reason: 'trimmed', position: 'e1.20' } })
    await eventually(() => expect(harness.server.exchanges[0]!.closed).toBe(true))
    gives[1]!(at(500, 'e1.30'))
    await eventually(() => expect(one.data).toBe(505))
    expect(harness.server.exchanges.map(x => x.position)).toEqual(['e1.7', 'e1.30'])
  })

  it('runs again after the gap of a poll', async () => {
    harness.server.script(
      x => x.batch([{ id: 'e2.1', data: 1_000 }], { gap: { reason: 'epoch', missed: null, position: 'e2.0' } }),
      x => x.batch([{ id: 'e2.4', data: 4 }]),
      () => {},
    )
    const one = followEach([at(1, 'e1.7'), at(10, 'e2.3')], { transports: ['poll'] })
    await eventually(() => expect(one.data).toBe(14))
    expect(one.loads).toBe(2)
    expect(harness.server.exchanges.slice(0, 2).map(x => x.position)).toEqual(['e1.7', 'e2.3'])
  })

  it('is not called for a lost connection, for connect() after stop(), nor on the position that the server rendered', async () => {
    harness.server.script(x => (open(x, 'e1.7').write(message(1, 'e1.8')), setTimeout(() => x.cut(), 20)), x => open(x, 'e1.8'))
    const one = follow<number>(harness.server.url, { load: () => at(0, 'e1.0'), reduce: sum, initial: -1, rendered: at(50, 'e1.7') })
    await eventually(() => expect(harness.server.exchanges.map(x => x.position)).toEqual(['e1.7', 'e1.8']))
    await eventually(() => expect(one.client.state.status).toBe('connected'))
    one.client.stop()
    one.client.connect()
    await eventually(() => expect(harness.server.exchanges.map(x => x.position)).toEqual(['e1.7', 'e1.8', 'e1.8']))
    expect([one.data, one.loads]).toEqual([51, 0])
  })

  it('is called again when a client that was stopped in a gap connects, and with another URL', async () => {
    harness.server.script(x => open(x, 'e1.7').write(gap('e1.20')), x => open(x, 'e1.30'))
    let call = 0
    const one = follow<number>(harness.server.url, {
      load: () => ++call === 1 ? at(1, 'e1.7') : call === 2 ? new Promise(() => {}) : at(3, 'e1.30'),
      reduce: sum,
      initial: -1,
    })
    await eventually(() => expect(one.loads).toBe(2))
    one.client.stop()
    expect(one.client.state.status).toBe('closed')
    one.client.connect()
    await eventually(() => expect(one.data).toBe(3))
    one.client.connect(`${harness.server.url}other`)
    await eventually(() => expect(one.loads).toBe(4))
  })
})

describe('a `load` that fails', () => {
  it.each<[string, Error]>([
    ['throws', new Error('no network')],
    ['gets a 500', refusal(500)],
    ['gets a 429', refusal(429)],
    ['gets a 408 as `status`', Object.assign(new Error('late'), { status: 408 })],
  ])('is tried again with growing delays if it %s', async (_, cause) => {
    harness.server.script(x => open(x, 'e1.1').write(message(1, 'e1.2')))
    const one = followEach([cause, cause, cause, at(1, 'e1.1')])
    await eventually(() => expect(one.data).toBe(2))
    expect(one.loads).toBe(4)
    const failures = one.log.filter(change => change !== 'loaded' && !!change.error?.retryAt) as { attempt: number, error: SSEError, status: string }[]
    expect(failures.map(({ attempt }) => attempt)).toEqual([1, 2, 3])
    for (const { status, error } of failures) {
      expect(status).toBe('reconnecting')
      expect(error).toMatchObject({ code: 'LOAD_FAILED', retry: true, cause, statusCode: (cause as { statusCode?: number }).statusCode ?? (cause as { status?: number }).status ?? 0 })
    }
    expect(one.client.state).toMatchObject({ status: 'connected', error: undefined })
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it.each([400, 401, 403, 404, 410])('is final with %i, as for a stream', async (statusCode) => {
    const cause = refusal(statusCode)
    const one = followEach([cause])
    await eventually(() => expect(one.client.state.status).toBe('closed'))
    expect(one.client.state.error).toMatchObject({ code: 'LOAD_FAILED', statusCode, retry: false, cause })
    expect([one.loads, one.data, harness.server.exchanges]).toEqual([1, -1, []])
  })

  it('follows `retry` of an error that a route of this package sent', async () => {
    const one = followEach([refusal(500, { data: { data: { code: 'INVALID_CHANNEL', retry: false } } })])
    await eventually(() => expect(one.client.state.status).toBe('closed'))
  })

  it('waits for `Retry-After`', async () => {
    const one = followEach([refusal(503, { response: new Response(null, { headers: { 'retry-after': '30' } }) })])
    await eventually(() => expect(one.client.state.error?.retryAt).toBeGreaterThan(Date.now() + 25_000))
  })

  it.each<[string, unknown]>([
    ['only data', [1, 2, 3]], ['nothing', undefined], ['null', null], ['an empty position', { data: 1, position: '' }], ['a number', { data: 1, position: 7 }], ['two lines', { data: 1, position: 'e1.7\r\nx: y' }],
  ])('is final if it resolves with %s, and names `snapshot`', async (_, state) => {
    const one = followEach([state])
    await eventually(() => expect(one.client.state.status).toBe('closed'))
    expect(one.client.state.error).toMatchObject({ code: 'LOAD_FAILED', retry: false })
    expect(one.client.state.error!.message).toContain('snapshot')
    expect(one.data).toBe(-1)
  })

  it('gives up after `maxAttempts`', async () => {
    const one = followEach([refusal(503)], { reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 3 } })
    await eventually(() => expect(one.client.state.status).toBe('closed'))
    expect(one.client.state.error).toMatchObject({ code: 'GAVE_UP', statusCode: 503, cause: { code: 'LOAD_FAILED' } })
    expect(one.loads).toBe(3)
  })

  it('is repeated also for a stream by POST', async () => {
    harness.server.script(x => open(x, 'e1.1').write(message(1, 'e1.2')))
    const one = followEach([refusal(500), at(1, 'e1.1')], { method: 'POST' })
    await eventually(() => expect(one.data).toBe(2))
  })
})

describe('a gap right after a `load`', () => {
  it('counts as a failure, so that a retention shorter than a load is no loop', async () => {
    harness.server.script(x => open(x, 'e1.7', false).write(gap('e1.20')))
    const one = followEach([at(1, 'e1.7')], { reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 5 } })
    await eventually(() => expect(one.client.state.status).toBe('closed'))
    const attempts = one.log.filter(change => change !== 'loaded' && !!change.error?.retryAt) as { attempt: number, error: SSEError }[]
    expect(attempts.map(({ attempt, error }) => [attempt, error.code])).toEqual([1, 2, 3, 4].map(attempt => [attempt, 'LOAD_FAILED']))
    expect(one.client.state.error).toMatchObject({ code: 'GAVE_UP', cause: { code: 'LOAD_FAILED' } })
    expect(one.loads).toBe(5)
  })

  it('counts also if the connection was lost in between', async () => {
    harness.server.script(x => (open(x, 'e1.7'), setTimeout(() => x.cut(), 20)), x => open(x, 'e1.7', false).write(gap('e1.20')), x => open(x, 'e1.30').write(message(1, 'e1.31')))
    const one = followEach([at(1, 'e1.7'), at(3, 'e1.30')])
    await eventually(() => expect(one.data).toBe(4))
    expect(one.log.filter(change => change !== 'loaded' && !!change.error?.retryAt).map(change => (change as { attempt: number }).attempt)).toEqual([1, 2])
  })

  it('does not count after a message, however often it happens', async () => {
    let n = 0
    harness.server.script(x => open(x, `e1.${n}`).write(message(1, `e1.${n + 1}`) + gap(`e1.${n + 5}`)))
    const one = follow<number>(harness.server.url, { load: () => at(0, `e1.${n += 10}`), reduce: sum, initial: -1, reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 2 } })
    await eventually(() => expect(one.loads).toBeGreaterThan(5))
    expect(one.client.state.status).not.toBe('closed')
    expect(one.log.some(change => change !== 'loaded' && !!change.error)).toBe(false)
  })
})

describe('a source without positions', () => {
  it.each<[string, (x: Exchange) => unknown, string]>([
    ['a generator', x => x.stream(control({ type: 'open', heartbeatMs: 0, restarts: true }), MARK).write(message(1)), 'GET'],
    ['push style, by POST', x => x.stream(control({ type: 'open', heartbeatMs: 0, restarts: false }), MARK).write(message(1)), 'POST'],
    ['another server', x => x.stream(message(1, 'its-id')), 'GET'],
    ['another server, by POST', x => x.stream(message(1)), 'POST'],
  ])('is a final failure: %s', async (_, step, method) => {
    harness.server.script(step)
    const one = followEach([at(1, 'e1.1')], { method })
    await eventually(() => expect(one.client.state.status).toBe('closed'))
    expect(one.client.state.error).toMatchObject({ code: 'LOAD_FAILED', retry: false })
    expect([one.data, one.loads, harness.server.exchanges.length]).toEqual([1, 1, 1])
  })

  it('a call that shares the connection fails alone', async () => {
    harness.server.script(x => x.stream(control({ type: 'open', heartbeatMs: 0, restarts: true }), MARK).write(message(1)))
    const one = followEach([at(1, 'e1.1')], { share: 'page' })
    await eventually(() => expect(one.client.state.status).toBe('closed'))
    expect(one.client.state.error).toMatchObject({ code: 'LOAD_FAILED', retry: false })
  })
})

describe('with `share`, against the real server', () => {
  const server = useSSEServer({ heartbeatMs: 1_000, retryMs: 1, pollWaitMs: 50 })

  /** A table that only grows, its channel, and the connections to it. */
  function growing() {
    const list = server.channel<number>('list', { retention: { maxMessages: 3 } })
    const table = { rows: [] as number[], streams: 0, polls: 0 }
    server.route('/', (event) => {
      if (event.path.includes('transport=poll')) table.polls++
      else table.streams++
      return list
    })
    const add = async () => {
      table.rows.push(table.rows.length)
      await list.publish(table.rows.length - 1)
    }
    const upsert = (rows: number[], { data }: SSEMessage) => rows.includes(data as number) ? rows : [...rows, data as number]
    const join = (slow = 0) => follow<number[]>(server.url, {
      share: 'page',
      initial: [],
      reduce: upsert,
      load: () => list.snapshot(async () => {
        await vi.waitFor(() => expect(slow--).toBeLessThanOrEqual(0), { interval: 1, timeout: 20_000 })
        return [...table.rows]
      }),
    })
    return { list, table, add, join }
  }

  it('each call loads for itself, and follows the one connection', async () => {
    const { table, add, join } = growing()
    await add()
    const first = join()
    await eventually(() => expect([first.data, first.client.state.status]).toEqual([[0], 'connected']))
    const second = join(3)
    await add()
    const third = join()
    await eventually(() => expect([first.data, second.data, third.data]).toEqual([table.rows, table.rows, table.rows]))
    await add()
    await eventually(() => expect([first.data, second.data, third.data]).toEqual([table.rows, table.rows, table.rows]))
    expect([first.loads, second.loads, third.loads, table.streams]).toEqual([1, 1, 1, 1])
    expect([first, second, third].map(one => one.client.state)).toEqual(Array.from({ length: 3 }).fill(first.client.state))
  })

  it('each call loads again after a gap of the connection, which stays', async () => {
    const { list, table, add, join } = growing()
    await add()
    const all = [join(), join(), join()]
    const states = () => all.map(one => one.data)
    await eventually(() => expect(states()).toEqual(all.map(() => table.rows)))
    table.rows = [10, 11]
    await list.delete()
    await eventually(() => expect(states()).toEqual(all.map(() => [10, 11])))
    await eventually(() => expect(all.map(one => one.client.state.status)).toEqual(all.map(() => 'connected')))
    await add()
    await eventually(() => expect(states()).toEqual(all.map(() => [10, 11, 2])))
    expect([...all.map(one => one.loads), table.streams]).toEqual([2, 2, 2, 1])
    expect(all.map(one => one.client.state.gap?.reason)).toEqual(all.map(() => 'epoch'))
  })

  it('a failed load is that of one call', async () => {
    const { table, add, join } = growing()
    await add()
    const first = join()
    const refused = follow<number[]>(server.url, { share: 'page', initial: [], reduce: rows => rows, load: () => Promise.reject(new SSEError('UNAUTHORIZED', 'no', { statusCode: 401 })) })
    await eventually(() => expect(refused.client.state).toMatchObject({ status: 'closed', error: { code: 'LOAD_FAILED', statusCode: 401, retry: false } }))
    await add()
    await eventually(() => expect(first.data).toEqual(table.rows))
    expect(refused.data).toEqual([])
  })
})

describe.each<[string, Pick<Parameters<typeof follow>[1], 'transports' | 'share'>]>([
  ['stream', { transports: ['stream'] }],
  ['poll', { transports: ['poll'] }],
  ['share', { share: 'page' }],
])('a route of several channels, by %s', (_, options) => {
  const server = useSSEServer({ heartbeatMs: 1_000, retryMs: 1, pollWaitMs: 50 })

  it('the state has the whole position, and a gap of one channel loads it again', async () => {
    const [todos, notes] = [server.channel<number>('todos'), server.channel<number>('notes')]
    const several = () => server.channels({ todos, notes })
    server.route('/', several)
    let rows: string[] = []
    const add = async (key: 'todos' | 'notes', row: number) => {
      rows.push(`${key} ${row}`)
      await { todos, notes }[key].publish(row)
    }
    await add('todos', 1)
    const one = follow<string[]>(server.url, {
      ...options,
      initial: [],
      load: () => several().snapshot(() => [...rows]),
      reduce: (all, { channel, data }) => all.includes(`${channel} ${data}`) ? all : [...all, `${channel} ${data}`],
    })
    await eventually(() => expect([one.data, one.client.state.status]).toEqual([rows, 'connected']))
    expect(one.client.state.position).toBe(`todos:${(await todos.info()).position},notes:${(await notes.info()).position}`)
    await add('notes', 2)
    await add('todos', 3)
    await eventually(() => expect(one.data.toSorted()).toEqual(['notes 2', 'todos 1', 'todos 3']))
    expect(one.loads).toBe(1)
    rows = ['todos 10']
    await todos.delete()
    await eventually(() => expect(one.data).toEqual(['todos 10']))
    await add('notes', 4)
    await add('todos', 11)
    await eventually(() => expect(one.data.toSorted()).toEqual(['notes 4', 'todos 10', 'todos 11']))
    await eventually(() => expect(one.client.state).toMatchObject({ status: 'connected', error: undefined, gap: { reason: 'epoch', channel: 'todos' } }))
    expect(one.loads).toBe(2)
  })

  it.each(['/several', '/one'])('gives up if `load` gives positions of another route than %s', async (path) => {
    const [todos, notes] = [server.channel<number>('todos'), server.channel<number>('notes')]
    const several = () => server.channels({ todos, notes })
    server.route('/several', several)
    server.route('/one', () => todos)
    const one = follow<string[]>(server.url + path, {
      ...options,
      reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 4 },
      initial: [],
      load: () => path === '/one' ? several().snapshot(() => ['a']) : todos.snapshot(() => ['a']),
      reduce: all => all,
    })
    await eventually(() => expect(one.client.state).toMatchObject({ status: 'closed', error: { retry: false } }))
    expect(one.client.state.error!.code).toMatch(/^(?:GAVE_UP|INVALID_POSITION)$/)
    expect(one.loads).toBeLessThan(7)
  })

  it('loads again if the position that the page arrived with is that of another route', async () => {
    const [todos, notes] = [server.channel<number>('todos'), server.channel<number>('notes')]
    server.route('/', () => server.channels({ todos, notes }))
    const stored = ['new']
    const one = follow<string[]>(server.url, { ...options, initial: [], rendered: await todos.snapshot(() => ['old']), load: () => server.channels({ todos, notes }).snapshot(() => [...stored]), reduce: (all, { data }) => [...new Set([...all, `${data}`])] })
    await eventually(() => expect(one.data).toEqual(['new']))
    // A shared call may load again after this, for the gap of the other channel: then the state has it already.
    stored.push('1')
    await notes.publish(1)
    await eventually(() => expect(one.data).toEqual(['new', '1']))
    await eventually(() => expect(one.client.state).toMatchObject({ status: 'connected', gap: { reason: 'invalid' } }))
    // A shared call loads again for the gap of each channel.
    expect(one.loads).toBeLessThanOrEqual(options.share ? 2 : 1)
  })
})

describe('one channel of several that reads what it has missed', () => {
  const channel = (position: string, gap: object | null = null) => ({ position, resumed: true, ended: false, gap })
  const lost = { reason: 'trimmed', missed: 7, position: 'f1.9' }

  it.each<[string, object, number]>([
    ['a gap of another channel does not load it again', { a: channel('e1.5'), b: channel('f1.9', lost) }, 1],
    ['a gap of its own does', { a: channel('e1.5', { ...lost, position: 'e1.3' }), b: channel('f1.9') }, 2],
  ])('%s', async (_, channels, loads) => {
    harness.server.script(
      x => x.open({ position: 'a:e1.5,b:f1.1', resumed: true, channels: { a: channel('e1.5'), b: channel('f1.1') } }),
      x => x.batch([{ id: 'a:e1.3', channel: 'a', data: 3 } as never], { position: 'a:e1.3,b:f1.1', channels: { a: channel('e1.3'), b: channel('f1.1') } }),
      x => x.batch([4, 5].map(data => ({ id: `a:e1.${data}`, channel: 'a', data })), { position: 'a:e1.5,b:f1.9', channels }),
    )
    const feed = followEach([at(0, 'a:e1.5,b:f1.1')], { share: 'page' })
    await eventually(() => expect(feed.client.state.status).toBe('connected'))
    const one = followEach([at(2, 'e1.2'), at(14, 'a:e1.5')], { share: 'page', channel: 'a' })
    await eventually(() => expect([one.data, one.client.state.status]).toEqual([14, 'connected']))
    expect([one.loads, one.client.state.gap?.channel]).toEqual(loads === 1 ? [1, undefined] : [2, 'a'])
    expect(harness.server.exchanges.slice(0, 3).map(x => x.position)).toEqual(['a:e1.5,b:f1.1', 'b:now,a:e1.2', 'a:e1.3,b:f1.1'])
  })
})

describe.each<[string, Pick<Parameters<typeof follow>[1], 'transports' | 'share'>]>([
  ['stream', { transports: ['stream'] }],
  ['poll', { transports: ['poll'] }],
  ['share', { share: 'page' }],
])('one channel of several, by %s', (_, options) => {
  const server = useSSEServer({ heartbeatMs: 1_000, retryMs: 1, pollWaitMs: 50 })

  /** Two lists on one route. `offered`: the keys that the route has at the moment. */
  function lists() {
    const channels = { todos: server.channel<number>(`todos:${Math.random()}`), notes: server.channel<number>(`notes:${Math.random()}`) }
    type Key = keyof typeof channels
    const rows: Record<Key, number[]> = { todos: [], notes: [] }
    const offered = new Set<Key>(['todos', 'notes'])
    server.route('/', () => server.channels(Object.fromEntries(Object.entries(channels).filter(([key]) => offered.has(key as Key)))))
    const add = async (key: Key, row: number) => {
      rows[key].push(row)
      await channels[key].publish(row)
    }
    const snapshots = {
      own: (key: Key) => channels[key].snapshot(() => [...rows[key]]),
      whole: (key: Key) => server.channels(channels).snapshot(() => [...rows[key]]),
    }
    const join = (key: Key, kind: keyof typeof snapshots = 'own', more: Partial<Parameters<typeof follow<number[]>>[1]> = {}) => follow<number[]>(server.url, {
      ...options,
      channel: key,
      initial: [],
      load: () => snapshots[kind](key),
      reduce: (all, { data }) => all.includes(data as number) ? all : [...all, data as number],
      ...more,
    })
    return { channels, rows, offered, add, snapshots, join }
  }

  it.each(['own', 'whole'] as const)('loads with the %s position, and follows its channel from there', async (kind) => {
    const { channels, rows, add, join } = lists()
    await add('todos', 1)
    await add('notes', 2)
    const [one, two] = [join('todos', kind), join('notes', kind)]
    await eventually(() => expect([one.data, two.data, one.client.state.status, two.client.state.status]).toEqual([[1], [2], 'connected', 'connected']))
    expect([one.client.state.position, two.client.state.position]).toEqual([(await channels.todos.info()).position, (await channels.notes.info()).position])
    for (const row of [3, 4]) for (const key of ['todos', 'notes'] as const) await add(key, row)
    await eventually(() => expect([one.data, two.data]).toEqual([rows.todos, rows.notes]))
    expect([one.loads, two.loads]).toEqual([1, 1])
  })

  it.each(['own', 'whole'] as const)('a gap of its channel loads it again (%s position); gaps, messages, ends and errors of the others do not', async (kind) => {
    const { channels, rows, add, join } = lists()
    await add('todos', 1)
    await add('notes', 2)
    const [one, two] = [join('todos', kind), join('notes', kind)]
    await eventually(() => expect([one.client.state.status, two.client.state.status]).toEqual(['connected', 'connected']))
    rows.notes = [20]
    await channels.notes.delete()
    await eventually(() => expect(two.data).toEqual([20]))
    await add('notes', 21)
    await add('todos', 3)
    await eventually(() => expect([one.data, two.data]).toEqual([[1, 3], [20, 21]]))
    await eventually(() => expect(two.client.state).toMatchObject({ status: 'connected', error: undefined, gap: { reason: 'epoch', channel: 'notes' } }))
    expect([one.loads, two.loads]).toEqual([1, 2])
    expect(one.client.state).toMatchObject({ status: 'connected', error: undefined, gap: undefined })
    expect(one.log.filter(change => change !== 'loaded' && (!!change.error || !!change.gap || change.status === 'reconnecting'))).toEqual([])

    await channels.notes.fail(new SSEError('BROKEN', 'Broken'))
    await eventually(() => expect(two.client.state).toMatchObject({ status: 'closed', error: { code: 'BROKEN' } }))
    rows.todos = [30]
    await channels.todos.delete()
    await eventually(() => expect(one.data).toEqual([30]))
    await add('todos', 31)
    await eventually(() => expect(one.data).toEqual([30, 31]))
    expect([one.loads, two.loads]).toEqual([2, 2])
    expect(one.client.state).toMatchObject({ status: 'connected', error: undefined, gap: { reason: 'epoch', channel: 'todos' } })
    await channels.todos.end()
    await eventually(() => expect(one.client.state).toMatchObject({ status: 'closed', ended: true, error: undefined }))
  })

  it('a gap of another channel while it reads what it has missed loads nothing', async () => {
    const { channels, rows, add, join } = lists()
    await add('todos', 1)
    await add('notes', 2)
    const one = join('todos')
    await eventually(() => expect(one.client.state.status).toBe('connected'))
    one.client.stop()
    await add('todos', 3)
    await channels.notes.delete()
    await add('notes', 4)
    const other = join('notes')
    await eventually(() => expect(other.client.state.status).toBe('connected'))
    one.client.connect()
    await add('todos', 5)
    await eventually(() => expect([one.data, one.client.state.status]).toEqual([rows.todos, 'connected']))
    expect([one.loads, other.loads, one.client.state.gap]).toEqual([1, 1, undefined])
  })

  it('a gap right after each load is a failure, so that a retention shorter than a load is no loop', async () => {
    const { channels, join } = lists()
    await channels.todos.publish(1)
    const { position } = await channels.todos.info()
    await channels.todos.delete()
    const one = join('todos', 'own', { load: () => ({ data: [7], position: position! }), reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 4 } })
    await eventually(() => expect(one.client.state).toMatchObject({ status: 'closed', error: { code: 'GAVE_UP', cause: { code: 'LOAD_FAILED' } } }))
    expect([one.data, one.loads]).toEqual([[7], expect.toSatisfy((loads: number) => loads <= 5)])
  })

  it('begins with the state that the page arrived with', async () => {
    const { add, snapshots, join } = lists()
    await add('todos', 1)
    const one = join('todos', 'own', { rendered: await snapshots.own('todos') })
    await add('todos', 2)
    await eventually(() => expect([one.data, one.client.state.status]).toEqual([[1, 2], 'connected']))
    expect(one.loads).toBe(0)
  })

  it('is a final failure if the loaded position has no part of its channel, and names `snapshot`', async () => {
    const { channels, join } = lists()
    const one = join('todos', 'own', { load: () => server.channels({ notes: channels.notes }).snapshot(() => [1]) })
    await eventually(() => expect(one.client.state).toMatchObject({ status: 'closed', error: { code: 'LOAD_FAILED', retry: false } }))
    expect([one.client.state.error!.message, one.data]).toEqual([expect.stringContaining('snapshot'), []])
  })

  it.each(['several', 'one'] as const)('is closed with UNKNOWN_CHANNEL on a route of %s without it', async (route) => {
    const { channels, offered, snapshots, join } = lists()
    offered.delete('todos')
    if (route === 'one') server.route('/', () => channels.notes)
    const one = join('todos', 'own', { load: () => snapshots.own('todos') })
    await eventually(() => expect(one.client.state).toMatchObject({ status: 'closed', error: { code: 'UNKNOWN_CHANNEL' } }))
    expect(one.loads).toBeLessThanOrEqual(2)
  })

  it('loads again when a route that had lost its channel has it again', async () => {
    const { rows, offered, add, join } = lists()
    await add('todos', 1)
    const [one, other] = [join('todos'), join('notes')]
    const cut = () => {
      for (const socket of server.sockets) socket.destroy()
    }
    await eventually(() => expect([one.client.state.status, other.client.state.status]).toEqual(['connected', 'connected']))
    offered.delete('todos')
    cut()
    await eventually(() => expect(one.client.state).toMatchObject({ status: 'closed', error: { code: 'UNKNOWN_CHANNEL' } }))
    const { loads } = one
    rows.todos = [10, 11]
    offered.add('todos')
    cut()
    // Only a connection that another call keeps can report that the channel is there again.
    if (!options.share) one.client.connect()
    await eventually(() => expect([one.data, one.client.state.status]).toEqual([[10, 11], 'connected']))
    expect([one.loads, other.loads]).toEqual([loads + 1, 1])
    await add('todos', 12)
    await eventually(() => expect(one.data).toEqual([10, 11, 12]))
  })
})
