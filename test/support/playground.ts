import type { Browser, Page } from 'playwright-core'
import { collectProblems } from './browser'

/** What tests read on the playground's pages. */

export const statusOf = (page: Page) => page.getByRole('complementary').getByRole('status').innerText()

export const transportOf = (page: Page) => page.getByTestId('transport').innerText()

export const choose = (page: Page, name: string) => page.getByRole('radio', { name, exact: true }).check()

/** What a page has counted, and where it is, at one moment. */
export function tallyOf(page: Page): Promise<{ received: number, missing: number, doubled: number, offset: number, epoch: string }> {
  return page.evaluate(() => {
    const text = (id: string) => document.querySelector(`[data-testid="${id}"]`)!.textContent!.trim()
    const [epoch = '', offset] = text('position').split('.')
    return { received: Number(text('received')), missing: Number(text('missing')), doubled: Number(text('doubled')), offset: Number(offset), epoch }
  })
}

/** A page that tells of whatever goes wrong in it; `known` is what may. */
export async function openPage(browser: Browser, problems: string[], { known, ...options }: { known?: RegExp } & Parameters<Browser['newPage']>[0] = {}): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1180, height: 800 }, ...options })
  collectProblems(page, problems, known)
  return page
}

/** A connection that is cut or refused is in the console, whatever a page does. */
// Nuxt says NUXT_E5002 where it cannot get its manifest, which a page asks for at some time or other.
export const NETWORK_ERROR = /net::ERR_|Failed to load resource|NUXT_E5002/
