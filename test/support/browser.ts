import { execFileSync } from 'node:child_process'
import { chromium } from 'playwright-core'
import type { Browser } from 'playwright-core'

const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

/**
 * The Chromium on the PATH, as `npm test` has made sure that there is one. `backForwardCache`: as users have it; Playwright
 * turns it off.
 */
export async function launchBrowser({ backForwardCache = false } = {}): Promise<Browser> {
  const executablePath = process.env.CHROMIUM_PATH || execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim()
  return chromium.launch({ executablePath, headless: true, args: ARGS, ignoreDefaultArgs: backForwardCache ? ['--disable-back-forward-cache'] : [] })
}
