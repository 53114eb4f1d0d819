import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { eventually } from '../../support/conditions'

/** As it stands in the playground, where the constant is auto-imported. */
const MODULE = fileURLToPath(new URL('../../../playground/server/utils/shaped-response.ts', import.meta.url))
const DELAY_MS = 50

type Shaped = { network: string, cut(): void }

const { shapeResponse } = await import(/* @vite-ignore */ MODULE) as { shapeResponse(response: ServerResponse, network: string, onClosed: () => void): Shaped }

const onClosed = vi.fn()
let response: ServerResponse
let shaped: Shaped
let body: string
let over: Promise<unknown>
const server = createServer()

/** A request whose answer is in our hands. */
async function begin(network: string): Promise<void> {
  const { port } = server.address() as AddressInfo
  body = ''
  const asked = fetch(`http://127.0.0.1:${port}`).then(async (answer) => {
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
    for (let step = await reader.read(); !step.done; step = await reader.read()) body += step.value
  })
  over = asked.then(() => 'complete', () => 'cut')
  const [, answer] = await once(server, 'request') as [unknown, ServerResponse]
  response = answer
  shaped = shapeResponse(response, network, onClosed)
}

beforeEach(async () => {
  vi.stubGlobal('DELAY_MS', DELAY_MS)
  onClosed.mockClear()
  await once(server.listen(0, '127.0.0.1'), 'listening')
})
afterEach(async () => {
  vi.unstubAllGlobals()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

it('passes all bytes while the network is clear', async () => {
  await begin('clear')
  expect(response.write('a')).toBe(true)
  await eventually(() => expect(body).toBe('a'))
  response.end('b')
  expect(await over).toBe('complete')
  expect(body).toBe('ab')
  await eventually(() => expect(onClosed).toHaveBeenCalledTimes(1))
})

it('delays each byte, in order, and sends the bytes held back at once when the network clears', async () => {
  await begin('delay')
  const startedAt = performance.now()
  response.write('a')
  await eventually(() => expect(body).toBe('a'))
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(DELAY_MS - 1)
  vi.stubGlobal('DELAY_MS', 60_000)
  response.write('b')
  response.write('c')
  shaped.network = 'clear'
  response.end('d')
  expect(await over).toBe('complete')
  expect(body).toBe('abcd')
})

it('holds incomplete bytes back, makes the source wait, and continues when there is room', async () => {
  await begin('buffer')
  expect(response.write('a')).toBe(true)
  expect(response.write('b'.repeat(70_000))).toBe(false)
  expect(response.writableLength).toBe(70_001)
  const drained = once(response, 'drain')
  shaped.network = 'clear'
  await drained
  await eventually(() => expect(body).toHaveLength(70_001))

  shaped.network = 'buffer'
  response.write('c')
  response.end('d')
  expect(await over).toBe('complete')
  expect(body.slice(-3)).toBe('bcd')
})

it('has answered once the response was written, although nothing has left yet', async () => {
  await begin('delay')
  response.statusCode = 202
  response.end('later')
  expect(response.headersSent).toBe(true)
  expect(await over).toBe('complete')
  expect(body).toBe('later')
})

it('cuts silently, and drops the bytes held back', async () => {
  await begin('clear')
  response.write('a')
  await eventually(() => expect(body).toBe('a'))
  shaped.network = 'buffer'
  response.write('b')
  shaped.cut()
  expect(await over).toBe('cut')
  expect(body).toBe('a')
  await eventually(() => expect(onClosed).toHaveBeenCalledTimes(1))
  expect(response.writableLength).toBe(0)
})
