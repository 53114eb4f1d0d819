import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import puppeteer from 'puppeteer-core'
import { launchBrowser } from './browser'
import { launchWebKit } from './webkit'

/** One way to drive three engines, with as much as the tests of all three need. */

export interface EngineTab {
  goto(url: string): Promise<void>
  /** Runs a function in the page, with an argument that JSON can hold. */
  run<Result, Arg = undefined>(task: (arg: Arg) => Result, arg?: Arg): Promise<Awaited<Result>>
  close(): Promise<void>
  /** Missing where the driver cannot take the browser off line. */
  setOffline?(offline: boolean): Promise<void>
  /** Freezes the page, as a browser does with a tab that it puts to sleep, and wakes it. Missing where the driver cannot: see {@link Engine.setSuspended}. */
  setFrozen?(frozen: boolean): Promise<void>
}

export interface Engine {
  open(): Promise<EngineTab>
  /** Stops all processes of the browser, as a phone that sleeps does, and continues them. Missing where tabs can be frozen. */
  setSuspended?(suspended: boolean): Promise<void>
  /** The tab in front. Tabs that `open` adds may be hidden, and their timers late. */
  front(): Promise<Pick<EngineTab, 'goto'>>
  close(): Promise<void>
}

export type EngineName = 'chromium' | 'firefox' | 'webkit'

const LAUNCH: Record<EngineName, (dir: string) => Promise<Engine>> = {
  async chromium() {
    const browser = await launchBrowser({ backForwardCache: true })
    const context = await browser.newContext()
    return {
      async open() {
        const page = await context.newPage()
        const session = await context.newCDPSession(page)
        return {
          goto: async url => void await page.goto(url),
          run: (task, arg) => page.evaluate(task as () => never, arg),
          close: () => page.close(),
          setOffline: offline => context.setOffline(offline),
          setFrozen: async frozen => void await session.send('Page.setWebLifecycleState', { state: frozen ? 'frozen' : 'active' }),
        }
      },
      front: async () => {
        const page = await context.newPage()
        return { goto: async url => void await page.goto(url) }
      },
      close: () => browser.close(),
    }
  },
  async firefox(dir) {
    const browser = await puppeteer.launch({
      browser: 'firefox',
      executablePath: process.env.FIREFOX_PATH || execFileSync('sh', ['-c', 'command -v firefox-esr'], { encoding: 'utf8' }).trim(),
      headless: true,
      extraPrefsFirefox: { 'browser.download.folderList': 2, 'browser.download.dir': dir },
    })
    return {
      async open() {
        const page = await browser.newPage()
        return {
          goto: async url => void await page.goto(url),
          run: (task, arg) => page.evaluate(task as () => never, arg as never),
          close: () => page.close(),
          setOffline: offline => page.setOfflineMode(offline),
        }
      },
      setSuspended: suspended => signalTree(browser.process()!.pid!, suspended ? 'SIGSTOP' : 'SIGCONT'),
      front: async () => {
        const [page] = await browser.pages()
        return { goto: async url => void await page!.goto(url) }
      },
      close: () => browser.close(),
    }
  },
  async webkit(dir) {
    const webkit = await launchWebKit(dir)
    return {
      async open() {
        const tab = await webkit.open()
        return {
          goto: url => webkit.command(tab, 'POST', '/url', { url }),
          run: (task, arg) => webkit.command(tab, 'POST', '/execute/sync', { script: `return (${task})(...arguments)`, args: [arg ?? null] }),
          close: () => webkit.command(tab, 'DELETE', '/window'),
        }
      },
      setSuspended: suspended => signalTree(webkit.pid, suspended ? 'SIGSTOP' : 'SIGCONT'),
      front: async () => ({ goto: url => webkit.command(webkit.front, 'POST', '/url', { url }) }),
      close: webkit.close,
    }
  },
}

/** Launches an installed engine (see `test/ensure-tools.mjs`). `close()` also removes the files that it saved. */
export async function launchEngine(name: EngineName): Promise<Engine> {
  const dir = await mkdtemp(join(tmpdir(), `sse-${name}-`))
  const forget = () => rm(dir, { recursive: true, force: true, maxRetries: 5 })
  try {
    const engine = await LAUNCH[name](dir)
    return {
      ...engine,
      async close() {
        await engine.close()
        await forget()
      },
    }
  }
  catch (error) {
    await forget()
    throw error
  }
}

/** Sends a signal to a process and to all that it has started. */
async function signalTree(root: number, signal: NodeJS.Signals): Promise<void> {
  const children = new Map<number, number[]>()
  for (const entry of await readdir('/proc')) {
    // Its fields after the name, which is in parentheses: state, parent.
    const stat = /^\d+$/.test(entry) && await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '')
    const parent = stat && Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    if (parent) children.set(parent, [...children.get(parent) ?? [], Number(entry)])
  }
  const tree = [root]
  for (const pid of tree) tree.push(...children.get(pid) ?? [])
  for (const pid of tree) {
    try {
      process.kill(pid, signal)
    }
    catch (error) {
      // It has ended since the list was read.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}
