import { afterEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import type { SSESchema } from '../../../src/runtime/client'
import { openSSE } from '../../../src/runtime/client'
import { eventually } from '../../support/conditions'
import { control } from '../../support/scripted-server'
import { QUICK, all, useHarness } from './harness'
import { share, useSharers } from './sharer'

const harness = useHarness()
useSharers()
afterEach(() => vi.restoreAllMocks())

const schema = z.object({ n: z.string().transform(Number) })
const block = (id: number, data: unknown, event?: string) => `id: ${id}\n${event ? `event: ${event}\n` : ''}data: ${JSON.stringify(data)}\n\n`
const last = block(99, { n: '99' })
const until = ({ data }: { data: unknown }) => (data as { n?: number }).n === 99

describe('messages of a server of others', () => {
  it('are the output of the schema; one that does not fit is not delivered, and reading continues', async () => {
    harness.server.script(x => x.stream(block(1, { n: '1' }) + block(2, { n: 2 }) + block(3, { n: '3' }) + last))
    const source = openSSE(harness.server.url, { ...QUICK, schema, until })
    const seen: unknown[] = []
    for await (const { data } of source) {
      seen.push(data)
      if (data.n === 3) expect(source.error).toMatchObject({ code: 'INVALID_MESSAGE', retry: true, details: { issues: [{ path: ['n'], message: expect.any(String) as string }] } })
    }
    expect(seen).toEqual([{ n: 1 }, { n: 3 }, { n: 99 }])
    expect(harness.server.exchanges).toHaveLength(1)
  })

  it('asynchronous schemas keep the order', async () => {
    const slowFirst = z.object({ n: z.coerce.number<string>().refine(async n => (await new Promise(resolve => setTimeout(resolve, n === 1 ? 20 : 0)), true)) })
    harness.server.script(x => x.stream(block(1, { n: '1' }) + block(2, { n: '2' }) + last))
    expect((await all(openSSE(harness.server.url, { ...QUICK, schema: slowFirst, until }))).map(({ data }) => data)).toEqual([{ n: 1 }, { n: 2 }, { n: 99 }])
  })

  it('by name: others, and without a schema unnamed ones, are not delivered', async () => {
    harness.server.script(x => x.stream(block(1, { t: 'a' }, 'log') + block(2, { t: 'b' }, 'toString') + block(3, { t: 'c' }) + block(4, { t: 7 }, 'log') + block(5, { t: 'end' }, 'log')))
    const source = openSSE(harness.server.url, { ...QUICK, events: { log: z.object({ t: z.string() }) }, until: ({ event, data }) => event === 'log' && data.t === 'end' })
    expect((await all(source)).map(({ event, data }) => [event, (data as { t: string }).t])).toEqual([['log', 'a'], ['log', 'end']])
  })

  it('the position passes one that does not fit: a reconnect does not request it again', async () => {
    harness.server.script(
      x => x.stream(block(1, { n: '1' }) + block(2, { n: 2 })).end(),
      x => x.stream(last),
    )
    const seen = await all(openSSE(harness.server.url, { ...QUICK, reconnect: { minDelayMs: 1, maxDelayMs: 2 }, schema, until }))
    expect(seen.map(({ data }) => data)).toEqual([{ n: 1 }, { n: 99 }])
    expect(harness.server.exchanges[1]!.request.headers['last-event-id']).toBe('2')
  })

  it('a schema that throws, or hangs, costs its message and no other', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    const broken: SSESchema<{ n: number }> = { '~standard': { version: 1, vendor: 'test', validate: (value) => {
      const { n } = value as { n: number | string }
      if (n === 1) throw new Error('broken')
      if (n === 2) return new Promise(() => {})
      return { value: { n: Number(n) } }
    } } }
    harness.server.script(x => x.stream(block(1, { n: 1 }) + block(2, { n: 2 }) + block(3, { n: 3 }) + last))
    const seen = await all(openSSE(harness.server.url, { ...QUICK, connectTimeoutMs: 50, schema: broken, until }))
    expect(seen.map(({ data }) => data)).toEqual([{ n: 3 }, { n: 99 }])
    expect(logged.mock.calls.map(([, error]) => (error as { code: string }).code)).toEqual(['SCHEMA_FAILED', 'SCHEMA_FAILED'])
  })
})

describe('over our own transports', () => {
  it('polls are checked as streams are', async () => {
    harness.server.script(x => x.batch([{ id: 'e1.1', data: { n: '1' } }, { id: 'e1.2', data: { n: 2 } }, { id: 'e1.3', data: { n: '99' } }], { position: 'e1.3' }))
    expect((await all(openSSE(harness.server.url, { ...QUICK, transports: ['poll'], schema, until }))).map(({ data }) => data)).toEqual([{ n: 1 }, { n: 99 }])
  })

  it('with `share`, each call has a connection and a schema of its own', async () => {
    harness.server.script(...Array.from({ length: 2 }, () => (x: Parameters<Parameters<typeof harness.server.script>[0]>[0]) => x.stream(control({ type: 'open', heartbeatMs: 0, position: 'e1.0' }, 'e1.0') + 'id: e1.1\ndata: {"n":"1"}\n\nid: e1.2\ndata: {"n":2}\n\n')))
    const [first, second] = [share(harness.server.url, { schema }), share(harness.server.url, { schema: z.object({ n: z.unknown() }) })]
    await eventually(() => expect([first.seen, second.seen]).toEqual([[{ n: 1 }], [{ n: '1' }, { n: 2 }]]))
    await eventually(() => expect(first.state.error).toMatchObject({ code: 'INVALID_MESSAGE' }))
    expect(second.state.error).toBeUndefined()
    expect(harness.server.exchanges).toHaveLength(2)
  })
})
