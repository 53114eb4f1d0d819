import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { ARGS, chromiumPath } from './chromium-args'

/**
 * The Chromium on the PATH, as `npm test` has made sure that there is one. `backForwardCache`: as users have it; Playwright
 * turns it off.
 */
export async function launchBrowser({ backForwardCache = false } = {}): Promise<Browser> {
  return chromium.launch({ executablePath: chromiumPath(), headless: true, args: ARGS, ignoreDefaultArgs: backForwardCache ? ['--disable-back-forward-cache'] : [] })
}

/**
 * The same, with tabs as people have them: one is in front, and the others are hidden, so that they can be frozen. Playwright keeps
 * each page of its own contexts visible; here the one context is the browser's.
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

export interface TestBrowser {
  /** What went wrong on the pages of the current test. See {@link collectProblems}. */
  readonly problems: string[]
  /** Opens a page, in a context of its own unless one is given. */
  open(context?: BrowserContext): Promise<Page>
  newContext(): Promise<BrowserContext>
}

interface UseBrowserOptions extends BrowserContextOptions {
  /** Texts that are no problem. */
  known?: RegExp
  backForwardCache?: boolean
}

/**
 * One browser for a file. Its contexts are closed after each test, with their pages, and before the hooks that were registered
 * earlier: call it after `afterEach(stopBuiltServers)`. The other options are those of each context.
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
      collectProblems(page, problems, known)
      return page
    },
  }
}

/**
 * Adds to `problems` what goes wrong on a page: uncaught errors, console errors, and warnings by Vue or by this package. Warnings of
 * browsers and of other packages come and go with their versions. `known`: expected texts.
 */
export function collectProblems(page: Page, problems: string[], known?: RegExp): void {
  page.on('pageerror', error => problems.push(String(error)))
  page.on('console', (message) => {
    const isProblem = message.type() === 'error' || (message.type() === 'warning' && /\[Vue warn\]|\[nuxt-sse\]/.test(message.text()))
    if (isProblem && !known?.test(message.text())) problems.push(message.text())
  })
}
