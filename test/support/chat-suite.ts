import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Balancer } from './balancer'
import { startBalancer } from './balancer'
import type { BuiltServer } from './built-server'
import { startBuiltServer, stopBuiltServers } from './built-server'
import { eventually } from './conditions'
import type { Engine, EngineName, EngineTab } from './engines'
import { launchEngine } from './engines'
import type { TestTopology } from './redis'
import { startSingle } from './redis'

/** The flow of `useChat` in a browser engine: two instances on one Redis, after a balancer. The page is that of `docs/guide/use-chat.md`. */

const ANSWER = Array.from({ length: 40 }, (_, n) => `word${n + 1} `).join('').trim()
/** Outlives all stalls of a loaded machine. A test whose writer is killed waits for the short one. */
const LEASE_MS = 60_000
const SHORT_LEASE_MS = 5_000

interface Shown {
  /** Texts of the messages of both sides. */
  texts: string[]
  busy: boolean
  alert: string
  /** Sentences for screen readers. */
  status: string[]
  problems: string[]
}

interface Produced { started: number, released: number }

export function testChat(name: EngineName): void {
  let engine: Engine
  let redis: TestTopology
  let balancer: Balancer
  let servers: BuiltServer[] = []
  /** Instance that serves readers. Questions go to the first one. */
  let viewed: number
  let before: Produced[]
  let id: string
  const tabs = new Set<EngineTab>()
  let requests: string[]

  beforeAll(async () => {
    [engine, redis] = await Promise.all([launchEngine(name), startSingle()])
    balancer = await startBalancer(({ method, url }) => {
      if (!url!.startsWith('/api/')) return servers
      requests.push(method!)
      return method === 'POST' ? servers : [servers[viewed]!, servers[1 - viewed]!]
    })
  })
  afterAll(async () => {
    await engine.close()
    await balancer.close()
    await stopBuiltServers()
    await redis.stop()
  })
  beforeEach(async () => {
    id = crypto.randomUUID()
    viewed = 1
    requests = []
    await startServers(LEASE_MS)
  })
  afterEach(async () => {
    for (const tab of tabs) await tab.close()
    tabs.clear()
  })

  /** Replaces the servers that do not run. */
  async function startServers(leaseMs: number): Promise<void> {
    const run = () => startBuiltServer('basic', { env: { ...redis.env, NUXT_SSE_LEASE_MS: String(leaseMs) } })
    servers = await Promise.all([0, 1].map(at => servers[at]?.isRunning ? servers[at] : run()))
    before = await Promise.all(servers.map(countsOf))
  }

  /** Continues the answers that are held. */
  const release = () => fetch(`${servers[0]!.url}/api/release`, { method: 'POST' })

  async function countsOf({ url }: BuiltServer): Promise<Produced> {
    return (await fetch(`${url}/api/produced`)).json() as Promise<Produced>
  }

  /** Answers that an instance has started, and signals that were aborted, in this test. */
  async function produced(server: number): Promise<Produced> {
    const { started, released } = await countsOf(servers[server]!)
    return { started: started - before[server]!.started, released: released - before[server]!.released }
  }

  async function load(tab: EngineTab): Promise<void> {
    await tab.goto(`${balancer.url}/chats/${id}`)
    await eventually(async () => expect(await tab.run(() => (document.querySelector('#__nuxt') as unknown as { __vue_app__?: { $nuxt: { isHydrating: boolean } } }).__vue_app__?.$nuxt.isHydrating)).toBe(false))
  }

  async function open(): Promise<EngineTab> {
    const tab = await engine.open()
    tabs.add(tab)
    await load(tab)
    return tab
  }

  const ask = (tab: EngineTab, question: string) => tab.run((question) => {
    const input = document.querySelector('input')!
    input.value = question
    input.dispatchEvent(new Event('input'))
    document.querySelector('form')!.requestSubmit()
  }, question)

  const click = (tab: EngineTab, text: string) => tab.run((text) => {
    Array.from(document.querySelectorAll('button')).find(({ textContent }) => textContent!.trim() === text)!.click()
  }, text)

  const shown = (tab: EngineTab): Promise<Shown> => tab.run(() => {
    const texts = (selector: string) => Array.from(document.querySelectorAll(selector), ({ textContent }) => textContent!.trim())
    return {
      texts: texts('article'),
      busy: document.querySelector('article[aria-busy=true]') !== null,
      alert: texts('[role=alert]')[0] ?? '',
      status: texts('[role=status] span'),
      problems: (globalThis as unknown as { problems: string[] }).problems,
    }
  })

  const answerIn = async (tab: EngineTab) => (await shown(tab)).texts.find(text => text.startsWith('word')) ?? ''
  const untilReads = (tab: EngineTab, word: string) => eventually(async () => expect(await answerIn(tab)).toContain(word))
  const untilWhole = (tab: EngineTab) => eventually(async () => expect([await answerIn(tab), (await shown(tab)).busy]).toEqual([ANSWER, false]))

  describe(`useChat in ${name}, on two instances and one Redis`, () => {
    it('shows an answer while it is written, and announces it in sentences', async () => {
      const tab = await open()
      await ask(tab, 'Why? Hold.')
      await untilReads(tab, 'word5')
      // The answer is one sentence, which is not complete yet.
      expect(await shown(tab)).toMatchObject({ busy: true, status: [] })
      await release()
      await untilWhole(tab)
      await eventually(async () => expect(await shown(tab)).toEqual({ texts: ['Why? Hold.', ANSWER], busy: false, alert: '', status: [ANSWER], problems: [] }))
      expect(requests.filter(method => method !== 'GET')).toEqual(['POST'])
      expect(await produced(0)).toMatchObject({ started: 1, released: 0 })
    })

    it('shows the whole answer after a reload in the middle, from the other instance', async () => {
      const tab = await open()
      await ask(tab, 'Why? Hold.')
      await untilReads(tab, 'word5')
      await load(tab)
      await untilReads(tab, 'word5')
      await release()
      await untilWhole(tab)
      expect(await shown(tab)).toMatchObject({ texts: [ANSWER], alert: '', problems: [] })
      expect([await produced(0), await produced(1)]).toMatchObject([{ started: 1, released: 0 }, { started: 0 }])
    })

    it('shows the answer in a second tab, whose stop aborts the model and ends both', async () => {
      const first = await open()
      await ask(first, 'Why? Answer slowly.')
      await untilReads(first, 'word2')
      const second = await open()
      await untilReads(second, 'word2')
      await click(second, 'Stop')
      await eventually(async () => expect(await produced(0)).toMatchObject({ started: 1, released: 1 }))
      for (const tab of [first, second]) {
        await eventually(async () => expect(await shown(tab)).toMatchObject({ busy: false, alert: '', problems: [] }))
        const answer = await answerIn(tab)
        expect([ANSWER.startsWith(answer), answer.length < ANSWER.length]).toEqual([true, true])
      }
    })

    it('has every token once after a sleep in which the connection was cut', async () => {
      const tab = await open()
      await ask(tab, 'Why? Hold.')
      await untilReads(tab, 'word2')
      const sleep = (asleep: boolean) => tab.setFrozen ? tab.setFrozen(asleep) : engine.setSuspended!(asleep)
      await sleep(true)
      balancer.cut()
      await release()
      await eventually(async () => expect(await (await fetch(`${servers[0]!.url}/api/produced`)).json()).toMatchObject({ open: 0 }))
      await sleep(false)
      await untilWhole(tab)
      expect(await shown(tab)).toMatchObject({ texts: ['Why? Hold.', ANSWER], alert: '', problems: [] })
      expect(requests.filter(method => method === 'POST')).toHaveLength(1)
      expect(await produced(0)).toMatchObject({ started: 1, released: 0 })
    })

    it('has every token once when the instance of the viewer is killed', async () => {
      const tab = await open()
      await ask(tab, 'Why? Hold.')
      await untilReads(tab, 'word2')
      await load(tab)
      await untilReads(tab, 'word2')
      await servers[1]!.stop('SIGKILL')
      await release()
      await untilWhole(tab)
      expect(await shown(tab)).toMatchObject({ texts: [ANSWER], alert: '', problems: [] })
      expect(await produced(0)).toMatchObject({ started: 1, released: 0 })
    })

    it('reports that the instance of the writer was killed, and regenerates the answer on request', async () => {
      await stopBuiltServers()
      await startServers(SHORT_LEASE_MS)
      const tab = await open()
      await ask(tab, 'Why? Answer slowly.')
      await untilReads(tab, 'word2')
      await servers[0]!.stop('SIGKILL')
      await eventually(async () => expect((await shown(tab)).alert).toContain('The producer stopped before the stream was complete'))
      expect(await answerIn(tab)).toContain('word2')
      expect(requests.filter(method => method === 'POST')).toHaveLength(1)
      await click(tab, 'Try again')
      await eventually(async () => expect(await shown(tab)).toMatchObject({ alert: '', busy: true, texts: ['Why? Answer slowly.', expect.stringMatching(/^word1 word2/)] }))
      await click(tab, 'Stop')
      await eventually(async () => expect(await produced(1)).toMatchObject({ started: 1, released: 1 }))
    })
  })
}
