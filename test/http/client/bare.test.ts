import { createContext, runInContext } from 'node:vm'
import { build } from 'esbuild'
import { expect, it } from 'vitest'
import { control, message } from '../../support/scripted-server'
import { END, useHarness } from './harness'

const harness = useHarness()

/** The globals of every runtime: browsers, workers, Node, Bun and Deno. */
const BARE = { fetch, Request, AbortController, Headers, URL, URLSearchParams, TextEncoder, TextDecoder, setTimeout, clearTimeout, performance, console }

it('openSSE needs nothing of a page, and nothing of Node', async () => {
  const { outputFiles } = await build({ entryPoints: ['src/runtime/client/index.ts'], bundle: true, write: false, format: 'iife', globalName: 'sse', target: 'es2022' })
  const context = createContext({ ...BARE })
  const { openSSE } = runInContext(`${outputFiles[0]!.text};sse`, context)
  harness.server.script(x => x.open({ position: 'e1.0' }).write(message(1, 'e1.1')).end(), x => x.status(503, '', { 'retry-after': '0' }), x => x.open().write(message(2, 'e1.2')).end(control({ type: 'leave', retryMs: 1 })), x => x.open().end(END))
  const got: unknown[] = []
  for await (const { data } of openSSE(harness.server.url, { reconnect: { minDelayMs: 1, maxDelayMs: 2 } })) got.push(data)
  expect(got).toEqual([1, 2])
  expect(runInContext('typeof window + typeof document + typeof sessionStorage + typeof addEventListener + typeof process', context)).toBe('undefined'.repeat(5))
})
