import type { Page } from 'playwright-core'

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

/** Size of the browser's window, in pixels. */
export const VIEWPORT = { width: 1180, height: 800 }

/** A connection that is cut or refused is in the console, whatever a page does. */
// Nuxt says NUXT_E5002 where it cannot get its manifest, which a page asks for at some time or other.
export const NETWORK_ERROR = /net::ERR_|Failed to load resource|NUXT_E5002/
