import { describe, expect, it, vi } from 'vitest'
import { message } from '../../support/scripted-server'
import { eventually } from '../../support/conditions'
import { END, all, data, useHarness } from './harness'

const harness = useHarness()
const open = harness.open

/** The page that the client is in. */
function stubPage(origin: string): void {
  vi.stubGlobal('location', { origin, href: origin === 'null' ? 'file:///page' : `${origin}/page` })
}

/** Headers that a browser sends to another origin without a preflight (Fetch, CORS-safelisted), or that only Node sends. */
const SIMPLE = ['accept', 'accept-language', 'accept-encoding', 'user-agent', 'host', 'connection', 'sec-fetch-mode', 'cache-control', 'pragma']

describe.skipIf('document' in globalThis)('positions across origins', () => {
  it.each(['http://page.test', 'https://127.0.0.1', 'null'])('of ours go in the query, so that a reconnect from %s is as simple a request as the first', async (origin) => {
    stubPage(origin)
    harness.server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end(), x => x.open({ position: 'e1.1', resumed: true }).write(message(2, 'e1.2')).end(END))
    expect(data(await all(open({ query: { position: 'start', a: 1 } })))).toEqual([1, 2])
    expect(harness.server.exchanges.map(x => x.query)).toEqual([{ position: 'start', a: '1' }, { position: 'e1.1', a: '1' }])
    for (const { request } of harness.server.exchanges) expect(Object.keys(request.headers).filter(name => !SIMPLE.includes(name))).toEqual([])
  })

  it('of ours go in the header to the page\'s own origin, and where there is no page', async () => {
    for (const stub of [() => stubPage(new URL(harness.server.url).origin), () => vi.stubGlobal('location', undefined)]) {
      harness.server.exchanges.length = 0
      stub()
      harness.server.script(x => x.open({ position: 'e1.0' }).end(), x => x.open({ position: 'e1.0', resumed: true }).end(END))
      await all(open())
      expect(harness.server.exchanges.map(x => [x.query.position, x.request.headers['last-event-id']])).toEqual([[undefined, undefined], [undefined, 'e1.0']])
    }
  })

  it('of a foreign server go in the header, and the error of a refusal names what its CORS must allow', async () => {
    stubPage('http://page.test')
    harness.server.script(x => x.stream('id: 7\ndata: {}\n\n').end(), x => x.cut())
    const source = open()
    void all(source).catch(() => {})
    await eventually(() => expect(harness.server.exchanges[1]?.request.headers['last-event-id']).toBe('7'))
    await eventually(() => expect(source.error).toMatchObject({ code: 'NETWORK', message: expect.stringContaining('`last-event-id`') }))
  })

  it('no other failure names CORS', async () => {
    stubPage('http://page.test')
    harness.server.script(x => x.cut())
    const source = open()
    void all(source).catch(() => {})
    await eventually(() => expect(source.error).toMatchObject({ code: 'NETWORK', message: 'The connection failed' }))
  })
})
