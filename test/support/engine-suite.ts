import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { BuiltServer } from './built-server'
import { startBuiltServer, stopBuiltServers } from './built-server'
import { expectClientTestsPass } from './client-tests'
import { eventually } from './conditions'
import type { Engine, EngineName, EngineTab } from './engines'
import { launchEngine } from './engines'
import { startBufferingNginx } from './nginx'
import type { Proxy } from './proxy'
import { startProxy } from './proxy'
import { startScriptedServer } from './scripted-server'

/** One set of flows for every browser engine, against built applications. `docs/guide/browsers.md` lists the differences. */

/** Differences between engines. Each has a test of its own, and none is a reason to skip one. */
export interface EngineUnderTest {
  name: EngineName
  /** Whether a page whose stream was open can come out of the back-forward cache; else the way back loads it again. */
  keepsPages: boolean
  /** Whether a click on a link to a download ends all requests of the page, streams included. */
  downloadEndsRequests: boolean
  /** Whether `fetch` sends a header's characters beyond ASCII in another encoding, so that a server does not recognise such an ID. */
  changesHeaders: boolean
  /** Whether its driver can take it off line. */
  canGoOffline: boolean
}

interface Recorded {
  record: { numbers: number[], statuses: string[], gaps: string[] }
  problems: string[]
  shown: { reader: string[] }
  restored: boolean
}
interface Shown { data: number[], status: string, position?: string }

/** Numbers in an answer of `/api/ask`, which waits in its middle for `/api/release`. */
const ASKED = 50

/** Tests of `openSSE` without a page: how much of a body is read, and URLs without a location. */
const NOT_IN_PAGES = [
  'messages reads no further than a loop that is slow',
  ...['"/api/feed"', '"api/feed"', '"http://"', '""'].map(url => `a URL that cannot be requested ${url} is refused at once where there is no page, and not retried forever`),
  'a URL that cannot be requested a relative URL is requested in a page',
  'nothing is probed where there is no page',
]
/** Tests of `openSSE` with an ID beyond ASCII. */
const BEYOND_ASCII = ['messages gives data that is not JSON as plain text, and takes foreign IDs as they are']

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)
const json = (body: unknown) => ({ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

export function testEngine({ name, keepsPages, downloadEndsRequests, changesHeaders, canGoOffline }: EngineUnderTest): void {
  let engine: Engine
  let basic: BuiltServer
  let proxy: Proxy
  let channel: string
  let published: number
  let tests = 0
  const tabs = new Set<EngineTab>()

  beforeAll(async () => {
    [engine, basic] = await Promise.all([launchEngine(name), startBuiltServer('basic')])
  })
  beforeEach(async () => {
    proxy = await startProxy(basic.url)
    channel = `engine${++tests}`
    published = 0
  })
  afterEach(async () => {
    for (const tab of tabs) await close(tab)
    await proxy.close()
  })
  afterAll(async () => {
    await engine.close()
    await stopBuiltServers()
  })

  async function open(url: string): Promise<EngineTab> {
    const tab = await engine.open()
    tabs.add(tab)
    await tab.goto(url)
    return tab
  }

  async function close(tab: EngineTab): Promise<void> {
    tabs.delete(tab)
    await tab.close()
  }

  /** Opens the page whose call has the options of the query, and waits for the connection. */
  async function openRecorded(query: Record<string, string> = {}, origin = proxy.url): Promise<EngineTab> {
    const tab = await open(`${origin}/recorded?${new URLSearchParams({ route: `channel/${channel}`, ...query })}`)
    await untilStatus(tab, 'connected')
    return tab
  }

  const text = (tab: EngineTab, id: string) => tab.run(id => document.getElementById(id)?.textContent?.trim(), id)
  const recorded = (tab: EngineTab) => tab.run(() => (globalThis as unknown as Recorded).record)
  const problems = (tab: EngineTab) => tab.run(() => (globalThis as unknown as Recorded).problems)
  const click = (tab: EngineTab, id: string) => tab.run(id => document.getElementById(id)!.click(), id)
  const untilStatus = (tab: EngineTab, status: string) => eventually(async () => expect(await text(tab, 'status')).toBe(status))
  const untilHas = (tab: EngineTab, to = published) => eventually(async () => expect((await recorded(tab))?.numbers).toEqual(numbers(1, to)))
  const connections = async (): Promise<number> => (await (await fetch(`${basic.url}/api/stats`)).json()).connections

  async function publish(count: number): Promise<void> {
    for (let i = 0; i < count; i++) expect((await fetch(`${basic.url}/api/publish/${channel}`, json({ n: ++published }))).status).toBe(200)
  }

  it(`openSSE passes its tests inside a page of ${name}`, () => expectClientTestsPass(name, {
    config: 'engine', command: [process.execPath], files: 6, skipped: NOT_IN_PAGES, failing: changesHeaders ? BEYOND_ASCII : [],
  }), 300_000)

  describe(`useSSE in ${name}: networks`, () => {
    it('resumes after each cut: nothing lost, nothing twice', async () => {
      const tab = await openRecorded()
      for (let cut = 0; cut < 5; cut++) {
        await publish(3)
        proxy.cut()
        await publish(2)
        await untilHas(tab)
      }
      await untilStatus(tab, 'connected')
      expect(await recorded(tab)).toMatchObject({ statuses: expect.arrayContaining(['reconnecting']), gaps: [] })
      expect(await problems(tab)).toEqual([])
    })

    it('polls behind an nginx that buffers, and has everything once', async () => {
      const nginx = await startBufferingNginx(basic.url)
      onTestFinished(() => nginx.stop())
      const tab = await openRecorded({}, nginx.url)
      expect(await text(tab, 'transport')).toBe('poll')
      await publish(3)
      await untilHas(tab)
      expect(await problems(tab)).toEqual([])
    })

    it('reports the messages that a killed server took with it, and continues without a reload', async () => {
      const tab = await openRecorded()
      await publish(2)
      await untilHas(tab)
      await basic.stop('SIGKILL')
      await untilStatus(tab, 'reconnecting')
      basic = await startBuiltServer('basic', { port: basic.port })
      await publish(2)
      await untilHas(tab)
      expect(await recorded(tab)).toMatchObject({ gaps: ['epoch'] })
    })

    it(changesHeaders ? 'an ID beyond ASCII of another server returns to it as other text: the browser encodes it again' : 'an ID beyond ASCII of another server returns to it as it was', async () => {
      const ids: (string | undefined)[] = []
      const server = await startScriptedServer({ cors: true })
      onTestFinished(() => server.close())
      server.script((exchange) => {
        const id = exchange.request.headers['last-event-id'] as string | undefined
        ids.push(id && Buffer.from(id, 'latin1').toString())
        exchange.stream('id: größe\ndata: {"n": 1}\n\nretry: 1\n\n').end()
      })
      await open(`${basic.url}/recorded?url=${encodeURIComponent(server.url)}`)
      await eventually(() => expect(ids.length).toBeGreaterThan(1))
      expect(ids.slice(0, 2)).toEqual([undefined, changesHeaders ? Buffer.from('größe').toString('latin1') : 'größe'])
    })

    if (canGoOffline) {
      it('off line and back: shows it at once, and has what was published meanwhile', async () => {
        const tab = await openRecorded()
        await tab.setOffline!(true)
        await untilStatus(tab, 'reconnecting')
        await publish(3)
        await tab.setOffline!(false)
        await untilHas(tab)
        await untilStatus(tab, 'connected')
      })
    }
  })

  describe(`useSSE in ${name}: tabs`, () => {
    it('share one connection; when the tab that has it closes, the other takes over and misses nothing', async () => {
      const first = await openRecorded({ share: 'browser' })
      const second = await openRecorded({ share: 'browser' })
      await publish(3)
      for (const tab of [first, second]) await untilHas(tab)
      expect(await connections()).toBe(1)
      const third = await openRecorded({ share: 'browser' })
      await close(first)
      await publish(3)
      for (const tab of [second, third]) await untilHas(tab)
      await eventually(async () => expect(await connections()).toBe(1))
      for (const tab of [second, third]) expect([await recorded(tab), await problems(tab)]).toMatchObject([{ gaps: [] }, []])
    })
  })

  describe(`useSSE in ${name}: pages`, () => {
    it('the first render is what the server rendered; the stream continues from there, and nothing comes twice', async () => {
      const ssr = await startBuiltServer('ssr')
      const send = (...ns: number[]) => fetch(`${ssr.url}/api/publish/page`, json(ns.map(n => ({ n }))))
      await send(1, 2, 3)
      const tab = await open(`${ssr.url}/?url=/api/channel/page`)
      const shown = () => tab.run(() => (globalThis as unknown as Recorded).shown.reader).then(texts => texts.map(one => JSON.parse(one) as Shown))
      await eventually(async () => expect((await shown()).at(-1)).toMatchObject({ status: 'connected' }))
      await send(4)
      await eventually(async () => expect((await shown()).at(-1)).toMatchObject({ data: [1, 2, 3, 4] }))
      const [first, ...rest] = await shown()
      expect(first).toMatchObject({ data: [1, 2, 3], status: 'idle' })
      for (const { data } of rest) expect(data.slice(0, 3)).toEqual([1, 2, 3])
      expect(await problems(tab)).toEqual([])
      const requests = await (await fetch(`${ssr.url}/api/requests`)).json() as { path: string, lastEventId?: string }[]
      expect(requests.filter(({ path }) => path === '/api/channel/page')).toMatchObject([{ lastEventId: first!.position }])
    })

    it(keepsPages
      ? 'a page in the back-forward cache has no connection, and continues where it was'
      : 'the back-forward cache does not keep a page that had a stream: it is loaded again, with everything', async () => {
      const tab = await openRecorded()
      await publish(2)
      await untilHas(tab)
      await tab.run(() => addEventListener('pageshow', event => (globalThis as unknown as Recorded).restored = (event as PageTransitionEvent).persisted))
      await tab.goto(`${proxy.url}/api/stats`)
      await eventually(async () => expect(await connections()).toBe(0))
      await publish(2)
      await tab.run(() => void setTimeout(() => history.back()))
      // WebKit's driver never answers a command that meets a page on its way back.
      await eventually(async () => expect(await connections()).toBe(1))
      await untilHas(tab)
      await untilStatus(tab, 'connected')
      expect(await tab.run(() => (globalThis as unknown as Recorded).restored ?? false)).toBe(keepsPages)
      expect(await recorded(tab)).toMatchObject({ gaps: [] })
    })
  })

  describe(`useSSE in ${name}: an answer over POST, and a click on a link to a download`, () => {
    const downloads = async (): Promise<number> => (await fetch(`${basic.url}/api/downloads`)).json()

    /** Opens the page, clicks in the middle of the answer, and continues the answer after the effect of the click. */
    async function ask(kind: string, link: string, endsRequest = downloadEndsRequests): Promise<EngineTab> {
      const tab = await openRecorded({ route: `ask/${kind}`, method: 'POST' })
      await untilHas(tab, ASKED / 2)
      const before = await downloads()
      await click(tab, link)
      await eventually(async () => expect(await downloads()).toBeGreaterThan(before))
      if (endsRequest) await eventually(async () => expect((await recorded(tab)).statuses).toContain(kind === 'plain' ? 'closed' : 'reconnecting'))
      await fetch(`${basic.url}/api/release`, { method: 'POST' })
      return tab
    }

    it.each(['resumable', 'channel'])('%s: has the whole answer, once', async (kind) => {
      const tab = await ask(kind, 'link')
      await untilHas(tab, ASKED)
      await untilStatus(tab, 'closed')
      const { statuses, gaps } = await recorded(tab)
      expect([statuses.includes('reconnecting'), gaps, await text(tab, 'error')]).toEqual([downloadEndsRequests, [], ''])
    })

    it(downloadEndsRequests ? 'neither of them: the browser ends the request, and the answer is `INTERRUPTED`' : 'neither of them: the browser leaves the request alone', async () => {
      const tab = await ask('plain', 'link')
      await untilStatus(tab, 'closed')
      const { numbers: had } = await recorded(tab)
      expect([had, await text(tab, 'error')]).toEqual(downloadEndsRequests ? [numbers(1, ASKED / 2), 'INTERRUPTED'] : [numbers(1, ASKED), ''])
    })

    it('with the attribute `download` on the link, no request ends', async () => {
      const tab = await ask('plain', 'marked', false)
      await untilHas(tab, ASKED)
      await untilStatus(tab, 'closed')
      expect((await recorded(tab)).statuses).not.toContain('reconnecting')
    })
  })
}
