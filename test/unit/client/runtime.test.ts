import process from 'node:process'
import { expect, it } from 'vitest'

it('these tests run in the configured runtime', () => {
  const { bun, deno } = process.versions as { bun?: string, deno?: string }
  expect(bun ? 'bun' : deno ? 'deno' : 'node').toBe(process.env.SSE_TEST_RUNTIME ?? 'node')
})
