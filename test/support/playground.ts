import type { Page } from 'playwright-core'

/** Helpers to read the pages of the playground. */

export const statusOf = (page: Page) => page.getByRole('complementary').getByRole('status').innerText()

export const transportOf = (page: Page) => page.getByTestId('transport').innerText()

export const choose = (page: Page, name: string) => page.getByRole('radio', { name, exact: true }).check()

/** Records each status that a page shows from now on, in turn: between two looks, a short one would be missed. */
export async function recordStatuses(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const shown: string[] = (globalThis as unknown as { statuses: string[] }).statuses = []
    const status = document.querySelector('aside [role=status]')
    if (status) new MutationObserver(() => shown.push(status.getAttribute('data-status')!)).observe(status, { attributes: true, attributeFilter: ['data-status'] })
  })
  return () => page.evaluate(() => (globalThis as unknown as { statuses: string[] }).statuses)
}

/** Counters and position of a page at one moment. */
export function tallyOf(page: Page): Promise<{ received: number, missing: number, doubled: number, offset: number, epoch: string }> {
  return page.evaluate(() => {
    const text = (id: string) => document.querySelector(`[data-testid="${id}"]`)!.textContent!.trim()
    const [epoch = '', offset] = text('position').split('.')
    return { received: Number(text('received')), missing: Number(text('missing')), doubled: Number(text('doubled')), offset: Number(offset), epoch }
  })
}

/** Answers of the chat that take half of their usual time. */
export const FAST_ANSWERS = { NUXT_ANSWER_MS: '5000' }

/** Secrets of the sign-in. */
export const SECRETS = { NUXT_SESSION_PASSWORD: 'p'.repeat(32), NUXT_SSE_TICKET_SECRET: 's'.repeat(32) }

/** Size of the browser's window, in pixels. */
export const VIEWPORT = { width: 1180, height: 800 }
