import { expect, it, vi } from 'vitest'
import type { OpenSSEOptions } from '../../../src/runtime/client'
import { eventually } from '../../support/conditions'
import { all, failure, useHarness } from './harness'

const harness = useHarness()

/** Node has no page. A browser has one, and lets nobody replace it. */
function pretendPage(): void {
  if (!globalThis.location) vi.stubGlobal('location', { href: 'http://page.test/', origin: 'http://page.test' })
}

/** The effect of a redirect to another origin in a browser: requests fail, and `redirect: 'manual'` gives an empty answer. */
function gate(opaque = true) {
  const asked: string[] = []
  const fetch = vi.fn((_: unknown, { method, redirect }: RequestInit = {}) => {
    asked.push(`${method} ${redirect}`)
    return redirect === 'manual' && opaque ? Promise.resolve({ type: 'opaqueredirect', status: 0 } as Response) : Promise.reject(new TypeError('Failed to fetch'))
  })
  return { asked, fetch: fetch as unknown as typeof globalThis.fetch }
}

it('a gate that redirects to another origin is final, found by one HEAD after two failures', async () => {
  pretendPage()
  const { asked, fetch } = gate()
  expect(await failure(harness.open({ fetch }))).toMatchObject({ code: 'REDIRECTED', retry: false, statusCode: 0 })
  expect(asked.slice(0, 2)).toEqual(['GET undefined', 'GET undefined'])
  expect(asked.filter(one => one.startsWith('HEAD'))).toHaveLength(1)
})

it.each([
  ['a POST is not probed', { method: 'POST' }, {}],
  ['nothing is probed while the browser is offline', {}, { onLine: false }],
] as const)('%s', async (_, options, navigator) => {
  pretendPage()
  vi.stubGlobal('navigator', navigator)
  await expectNoProbe(options)
})

it.skipIf('document' in globalThis)('nothing is probed where there is no page', () => expectNoProbe())

async function expectNoProbe(options: OpenSSEOptions = {}): Promise<void> {
  const { asked, fetch } = gate()
  const source = harness.open({ reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 6 }, fetch, ...options })
  await all(source).catch(() => {})
  expect(asked.filter(one => one.startsWith('HEAD'))).toEqual([])
  expect(source.error?.code).not.toBe('REDIRECTED')
}

it('a network that is only down is retried, and is probed once', async () => {
  pretendPage()
  const { asked, fetch } = gate(false)
  const source = harness.open({ fetch })
  await eventually(() => expect(asked.length).toBeGreaterThan(8))
  expect(asked.filter(one => one.startsWith('HEAD'))).toEqual(['HEAD manual'])
  expect(source.error).toMatchObject({ code: 'NETWORK', retry: true })
})
