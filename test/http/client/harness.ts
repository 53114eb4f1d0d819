import { afterEach, beforeEach, expect, onTestFinished, vi } from 'vitest'
import { openSSE } from '../../../src/runtime/client'
import type { OpenSSEOptions, SSEClientOptions, SSEMessage, SSESource } from '../../../src/runtime/client'
import { SSEError } from '../../../src/runtime/shared/errors'
import type { ScriptedServer } from '../../support/scripted-server'
import { control, startScriptedServer } from '../../support/scripted-server'

export const QUICK = { reconnect: { minDelayMs: 1, maxDelayMs: 2 } } satisfies SSEClientOptions
export const END = control({ type: 'end' })
/** The mark on the answers of our server. */
export const MARK = { 'x-nuxt-sse': '1' }

export interface Harness {
  /** A new one for each test. */
  readonly server: ScriptedServer
  /** Sources that `open` has opened in this test. */
  readonly sources: SSESource[]
  open(options?: OpenSSEOptions): SSESource
}

/** A scripted server for each test of the file, and sources that are closed after it. */
export function useHarness(): Harness {
  let server: ScriptedServer
  const sources: SSESource[] = []
  beforeEach(async () => {
    server = await startScriptedServer()
  })
  afterEach(async () => {
    for (const source of sources.splice(0)) source.close()
    vi.unstubAllGlobals()
    await server.close()
  })
  return {
    get server() {
      return server
    },
    sources,
    open(options = {}) {
      const source = openSSE(server.url, { ...QUICK, ...options }) as SSESource
      sources.push(source)
      return source
    },
  }
}

export async function all(source: SSESource): Promise<SSEMessage[]> {
  const messages: SSEMessage[] = []
  for await (const one of source) messages.push(one)
  return messages
}

export async function failure(source: SSESource): Promise<SSEError> {
  const error = await all(source).then(() => undefined, error => error)
  expect(error).toBeInstanceOf(SSEError)
  return error
}

export const data = (messages: SSEMessage[]) => messages.map(one => one.data)

/** Requests to `url` that were started in this test, whether or not they have arrived. */
export function spyOnRequests(url: string): () => number {
  const fetched = vi.spyOn(globalThis, 'fetch')
  onTestFinished(() => void fetched.mockRestore())
  return () => fetched.mock.calls.filter(([asked]) => String(asked).startsWith(url)).length
}

/** Pieces of text that clients have read so far, in this test. */
export function spyOnReading(): () => string[] {
  const decode = vi.spyOn(TextDecoder.prototype, 'decode')
  onTestFinished(() => void decode.mockRestore())
  return () => decode.mock.results.map(({ value }) => value)
}

/** Node has no window: listeners of the window get this one. */
export function stubBrowser(): EventTarget {
  const target = new EventTarget()
  vi.stubGlobal('addEventListener', target.addEventListener.bind(target))
  vi.stubGlobal('removeEventListener', target.removeEventListener.bind(target))
  return target
}
