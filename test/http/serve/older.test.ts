import { describe, expect, it } from 'vitest'
import type { SSEPage } from '../../../src/runtime/shared/protocol'
import { SSEReader } from '../../support/read-sse'
import { useSSEServer } from '../../support/sse-server'

const server = useSSEServer({ retryMs: 1, pollWaitMs: 100 })

async function ask(path: string, accept = 'application/json'): Promise<SSEPage & { status: number, code?: string, text: string }> {
  const response = await fetch(server.url + path, { headers: { accept } })
  const text = await response.text()
  const body = JSON.parse(text)
  return { ...body, status: response.status, code: body.data?.code, text }
}

const dataOf = ({ messages }: SSEPage) => messages.map(({ data }) => data)

/** A channel with the messages 1 to `last`, of which `maxMessages` are kept, on `/one` and, as `feed` among several, on `/several`. */
async function channelUpTo(last: number, maxMessages = 1_000) {
  const channel = server.channel<number>('c', { retention: { maxMessages } })
  for (let n = 1; n <= last; n++) await channel.publish(n, n % 2 ? {} : { event: 'even' })
  server.route('/one', () => channel)
  server.route('/several', () => server.channels({ feed: channel, other: server.channel('o') }))
  return { channel, epoch: (await channel.info()).epoch }
}

describe('the last messages', () => {
  it.each([[1, [10]], [3, [8, 9, 10]], [4, [7, 8, 9, 10]], [5, [7, 8, 9, 10]], [Number.MAX_SAFE_INTEGER, [7, 8, 9, 10]]])('`-%d` is the last that are kept, without a gap where there are fewer', async (count, expected) => {
    const { channel, epoch } = await channelUpTo(10, 4)
    for (const asked of [`?position=-${count}`, '']) {
      const headers: HeadersInit = asked ? {} : { 'last-event-id': `-${count}` }
      const reader = await SSEReader.open(`${server.url}/one${asked}`, { headers })
      await reader.until(({ messages }) => messages.length === expected.length)
      expect([reader.data, reader.controls]).toEqual([expected, [expect.objectContaining({ type: 'open', resumed: false, position: `${epoch}.${10 - expected.length}` })]])
      await reader.close()
      const batch = await (await fetch(`${server.url}/one${asked || '?'}&transport=poll`, { headers })).json()
      expect([dataOf(batch), batch.gap, batch.position]).toEqual([expected, null, `${epoch}.10`])
    }
    expect(await channel.read({ last: count })).toMatchObject({ messages: expected.map(data => ({ data })), gap: null, position: `${epoch}.10` })
  })

  it('of an empty channel are none, and what comes next is read', async () => {
    const { channel } = await channelUpTo(0)
    expect(dataOf(await channel.read({ last: 5 }) as unknown as SSEPage)).toEqual([])
    const reader = await SSEReader.open(`${server.url}/one?position=-5`)
    await channel.publish(1)
    await reader.until(({ messages }) => messages.length === 1)
    await reader.close()
  })

  it('more than a page has are read from their beginning', async () => {
    const { channel, epoch } = await channelUpTo(1_500, 2_000)
    expect((await channel.read({ last: 1_400 })).messages).toHaveLength(1_400)
    const some = await channel.read({ last: 1_400, limit: 10 })
    expect([some.messages[0]!.data, some.position]).toEqual([101, `${epoch}.110`])
    const batch = await (await fetch(`${server.url}/one?position=-1400&transport=poll`)).json()
    expect([batch.messages.length, batch.position]).toEqual([1_000, `${epoch}.1100`])
  })

  it.each([[{ last: 0 }], [{ last: -1 }], [{ last: 1.5 }], [{ last: '5' }], [{ last: 5, after: 'start' }], [{ last: 5, before: 'e1.2' }], [{ after: 'start', before: 'e1.2' }], [{ before: 'e1.2', limit: 0 }]])('refuses %j', async (options) => {
    const { channel } = await channelUpTo(1)
    await expect(channel.read(options as never)).rejects.toMatchObject({ code: 'INVALID_OPTION', statusCode: 400 })
  })
})

describe('the messages before an ID', () => {
  it.each([
    [6, 2, [4, 5], true],
    [6, 3, [3, 4, 5], false],
    [6, 4, [3, 4, 5], false],
    [6, undefined, [3, 4, 5], false],
    [4, 1, [3], false],
    [3, 5, [], false],
    [1, 5, [], false],
    [0, 5, [], false],
    [10, 3, [7, 8, 9], true],
    [11, 3, [8, 9, 10], true],
    [12, 3, [8, 9, 10], true],
    [9_007_199_254_740_991, 8, [3, 4, 5, 6, 7, 8, 9, 10], false],
  ] as const)('before %d, %s of them', async (offset, limit, expected, hasOlder) => {
    const { channel, epoch } = await channelUpTo(10, 8)
    const before = `${epoch}.${offset}`
    const query = limit === undefined ? '' : `&limit=${limit}`
    const message = (n: number) => ({ id: `${epoch}.${n}`, ...n % 2 ? {} : { event: 'even' }, data: n })
    expect(JSON.parse((await ask(`/one?before=${before}${query}`)).text)).toEqual({ type: 'page', messages: expected.map(message), hasOlder })
    expect(await channel.read({ before, limit })).toEqual({ messages: expected.map(message), hasOlder, gap: null })
    for (const id of [before, `feed:${before}`, `feed:${before},other:e1.7`]) {
      const { text } = await ask(`/several?channel=feed&before=${encodeURIComponent(id)}${query}`)
      expect(JSON.parse(text)).toEqual({ type: 'page', messages: expected.map(n => ({ channel: 'feed', ...message(n), id: `feed:${epoch}.${n}` })), hasOlder })
    }
  })

  it('50 by default, and at most 1,000', async () => {
    const { epoch } = await channelUpTo(1_200, 2_000)
    expect(dataOf(await ask(`/one?before=${epoch}.1100`))).toEqual(Array.from({ length: 50 }, (_, index) => 1_050 + index))
    expect(dataOf(await ask(`/one?before=${epoch}.1100&limit=1000`))).toEqual(Array.from({ length: 1_000 }, (_, index) => 100 + index))
  })

  it('of another epoch are none, with a gap', async () => {
    const { channel } = await channelUpTo(5, 3)
    const { epoch } = await channel.info()
    const gap = { reason: 'epoch', missed: null, position: `${epoch}.2` }
    expect(JSON.parse((await ask('/one?before=other1.3')).text)).toEqual({ type: 'page', messages: [], hasOlder: false, gap })
    expect(JSON.parse((await ask('/several?before=other1.3&channel=feed')).text)).toEqual({ type: 'page', messages: [], hasOlder: false, gap })
    expect(await channel.read({ before: 'other1.3' })).toEqual({ messages: [], hasOlder: false, gap })
  })

  it('are bounded in bytes: the newest that fit', async () => {
    const channel = server.channel<string>('big')
    server.route('/big', () => channel)
    for (let n = 1; n <= 40; n++) await channel.publish(String(n).padEnd(n % 10 === 0 ? 900_000 : 100_000, ' '))
    const { epoch } = await channel.info()
    let seen: string[] = []
    let before = `${epoch}.41`
    for (let pages = 0; pages < 40; pages++) {
      const page = await ask(`/big?before=${before}&limit=1000`)
      expect(page.text.length).toBeLessThan(2_000_000)
      expect(page.messages.length).toBeGreaterThan(0)
      seen = [...dataOf(page).map(data => String(data).trim()), ...seen]
      before = page.messages[0]!.id!
      if (!page.hasOlder) break
    }
    expect(seen).toEqual(Array.from({ length: 40 }, (_, index) => `${index + 1}`))
  })

  it.each([
    ['/one?before=start', 'INVALID_QUERY'],
    ['/one?before=now', 'INVALID_QUERY'],
    ['/one?before=5', 'INVALID_QUERY'],
    ['/one?before=-5', 'INVALID_QUERY'],
    ['/one?before=', 'INVALID_QUERY'],
    ['/one?before=EPOCH.1&before=EPOCH.2', 'INVALID_QUERY'],
    ['/one?before=EPOCH.1&position=EPOCH.1', 'INVALID_QUERY'],
    ['/one?before=EPOCH.1&position=start', 'INVALID_QUERY'],
    ['/one?before=EPOCH.1&limit=0', 'INVALID_QUERY'],
    ['/one?before=EPOCH.1&limit=1001', 'INVALID_QUERY'],
    ['/one?before=EPOCH.1&limit=-1', 'INVALID_QUERY'],
    ['/one?before=EPOCH.1&limit=1.5', 'INVALID_QUERY'],
    ['/one?before=EPOCH.1&limit=', 'INVALID_QUERY'],
    ['/one?before=EPOCH.1&transport=stream', 'INVALID_QUERY'],
    ['/several?before=EPOCH.1', 'INVALID_QUERY'],
    ['/several?before=feed:EPOCH.1', 'INVALID_QUERY'],
    ['/several?before=EPOCH.1&channel=none', 'INVALID_QUERY'],
    ['/several?before=other:EPOCH.1&channel=feed', 'INVALID_QUERY'],
    ['/several?before=EPOCH.1&channel=feed&channel=other', 'INVALID_QUERY'],
  ])('%s is refused', async (path, code) => {
    const { epoch } = await channelUpTo(2)
    expect(await ask(path.replaceAll('EPOCH', epoch))).toMatchObject({ status: 400, code })
  })

  it('are a page wherever JSON is accepted, and 406 elsewhere', async () => {
    const { epoch } = await channelUpTo(2)
    for (const accept of ['*/*', 'application/*', 'text/event-stream, application/json;q=0.1']) expect(await ask(`/one?before=${epoch}.2`, accept)).toMatchObject({ status: 200, type: 'page' })
    for (const accept of ['text/event-stream', 'application/json;q=0, */*', 'text/html']) expect(await ask(`/one?before=${epoch}.2`, accept)).toMatchObject({ status: 406, code: 'NOT_ACCEPTABLE' })
    const head = await fetch(`${server.url}/one?before=${epoch}.2`, { method: 'HEAD' })
    expect(head.headers.get('content-type')).toBe('application/json')
  })

  it('a source that is not a channel keeps a parameter `before` of its own', async () => {
    server.route('/source', async function* () {
      yield 1
    })
    const reader = await SSEReader.open(`${server.url}/source?before=yesterday`)
    await reader.finished
    expect(reader.data).toEqual([1])
  })

  it('of a resumable run are found by the epoch, and no run begins for them', async () => {
    let runs = 0
    server.route('/run', async function* () {
      runs++
      for (let n = 1; n <= 5; n++) yield n
    }, { resumable: true })
    const reader = await SSEReader.open(`${server.url}/run`)
    await reader.finished
    const [epoch] = reader.position!.split('.') as [string]
    expect(await ask(`/run?before=${epoch}.4&limit=2`)).toMatchObject({ status: 200, messages: [{ data: 2 }, { data: 3 }], hasOlder: true })
    expect(await ask(`/run?before=${epoch.replace(/.$/, last => last === 'a' ? 'b' : 'a')}.4`)).toMatchObject({ status: 200, messages: [], hasOlder: false, gap: { reason: 'epoch', missed: null } })
    expect(await ask('/run?before=nonsense')).toMatchObject({ status: 400, code: 'INVALID_QUERY' })
    expect(runs).toBe(1)
  })
})
