import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import type { Browser, BrowserContext, BrowserContextOptions, Page, Request } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { ARGS, chromiumPath } from './chromium-args'
import { eventually } from './conditions'

/** Time that a page may take for a click or a load, on a machine that does other things as well. */
const MAX_ACTION_MS = 60_000

/**
 * Starts the Chromium on the PATH, which `npm test` makes sure of. `backForwardCache` turns the cache on, as users have it, since
 * Playwright turns it off.
 */
export async function launchBrowser({ backForwardCache = false } = {}): Promise<Browser> {
  return chromium.launch({ executablePath: chromiumPath(), headless: true, args: ARGS, ignoreDefaultArgs: backForwardCache ? ['--disable-back-forward-cache'] : [] })
}

/**
 * Starts a Chromium with real tabs: one is in front, and the others are hidden, so that they can be frozen. Playwright keeps
 * each page of its own contexts visible, so this uses the context of the browser.
 */
export async function launchTabs(): Promise<{ context: BrowserContext, close(): Promise<void> }> {
  const profile = await mkdtemp(join(tmpdir(), 'sse-tabs-'))
  const child = spawn(chromiumPath(), [...ARGS, '--headless', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  const endpoint = await new Promise<string>((resolve, reject) => {
    let output = ''
    child.stderr.on('data', (chunk) => {
      const [, url] = /listening on (ws:\S+)/.exec(output += chunk) ?? []
      if (url) resolve(url)
    })
    void exited.then(([code]) => reject(new Error(`Chromium ended with ${code} before it listened:\n${output}`)))
  })
  const browser = await chromium.connectOverCDP(endpoint, { noDefaults: true })
  return {
    context: browser.contexts()[0]!,
    async close() {
      await browser.close()
      child.kill()
      await exited
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** Console errors of cut or refused connections, which browsers always log. Nuxt logs NUXT_E5002 if it cannot fetch its manifest, which a page requests at any time. */
export const NETWORK_ERROR = /net::ERR_|Failed to load resource|NUXT_E5002/

export interface TestBrowser {
  /** Problems on the pages of the current test. See {@link collectProblems}. */
  readonly problems: string[]
  /** Opens a page, in a context of its own unless one is given. Its `goto` and `reload` wait until a page of Nuxt is hydrated. */
  open(context?: BrowserContext): Promise<Page>
  newContext(): Promise<BrowserContext>
}

interface UseBrowserOptions extends BrowserContextOptions {
  /** Texts that do not count as a problem. */
  known?: RegExp
  backForwardCache?: boolean
}

/**
 * One browser for a file. Closes its contexts and their pages after each test, before the hooks that were registered
 * earlier: call it after `afterEach(stopBuiltServers)`. The other options apply to each context.
 */
export function useBrowser({ known, backForwardCache, ...contextOptions }: UseBrowserOptions = {}): TestBrowser {
  let browser: Browser
  const problems: string[] = []
  beforeAll(async () => {
    browser = await launchBrowser({ backForwardCache })
  })
  afterAll(() => browser.close())
  afterEach(async () => {
    await Promise.all(browser.contexts().map(context => context.close()))
    problems.length = 0
  })
  const newContext = () => browser.newContext(contextOptions)
  return {
    problems,
    newContext,
    async open(context) {
      const page = await (context ?? await newContext()).newPage()
      page.setDefaultTimeout(MAX_ACTION_MS)
      collectProblems(page, problems, known)
      waitForHydration(page)
      return page
    },
  }
}

/**
 * Adds the problems of a page to `problems`: uncaught errors, console errors, and warnings by Vue or by this package. Warnings of
 * browsers and of other packages depend on their versions. `known`: expected texts.
 */
export function collectProblems(page: Page, problems: string[], known?: RegExp): void {
  page.on('pageerror', error => problems.push(String(error)))
  page.on('console', (message) => {
    const isProblem = message.type() === 'error' || (message.type() === 'warning' && /\[Vue warn\]|\[nuxt-sse\]/.test(message.text()))
    if (isProblem && !known?.test(message.text())) problems.push(message.text())
  })
}

/** Holds requests of a page. The returned function waits for one, as a page shows its change before the browser reports the request, and answers it. */
export async function holdRequests(page: Page, url: string | RegExp, isHeld: (request: Request) => boolean): Promise<(how: 'continue' | 'abort') => Promise<void>> {
  const held: ((how: 'continue' | 'abort') => void)[] = []
  await page.route(url, async (route) => {
    if (!isHeld(route.request())) return route.continue()
    const how = await new Promise<'continue' | 'abort'>(resolve => held.push(resolve))
    await route[how]()
  })
  return async (how) => {
    await eventually(() => expect(held).toHaveLength(1))
    held.pop()!(how)
  }
}

/** A click before a page is hydrated has no effect, and no trace. A page for which a test does not wait (`commit`) is left alone. */
function waitForHydration(page: Page): void {
  const { goto, reload } = page
  const hydrated = (options?: { waitUntil?: string }) => options?.waitUntil === 'commit'
    ? undefined
    : page.waitForFunction(() => {
        const root = document.querySelector('#__nuxt') as { __vue_app__?: { $nuxt: { isHydrating: boolean } } } | null
        return !root || root.__vue_app__?.$nuxt.isHydrating === false
      })
  page.goto = async (url, options) => {
    const response = await goto.call(page, url, options)
    await hydrated(options)
    return response
  }
  page.reload = async (options) => {
    const response = await reload.call(page, options)
    await hydrated(options)
    return response
  }
}
