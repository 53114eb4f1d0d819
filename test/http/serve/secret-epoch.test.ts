import { createHooks } from 'hookable'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { inspect } from 'node:util'
import { Recorder, startCursor } from '../../../src/runtime/server/devtools/recorder'
import { channelEnded, leaseLost } from '../../../src/runtime/server/drivers/errors'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import type { SSEHooks } from '../../../src/runtime/server/insight/hooks'
import { readStats } from '../../../src/runtime/server/context/stats'
import { createEpoch, SECRET_LENGTH } from '../../../src/runtime/shared/position'
import { isSecretPosition, pathWithoutSecret, publicChannelName, withoutSecret } from '../../../src/runtime/shared/secret-epoch'
import { createFailingDriver } from '../../../src/runtime/test'
import type { FailingDriver } from '../../../src/runtime/test'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import { useSSEServer } from '../../support/sse-server'

describe('a redacted secret epoch', () => {
  it('shows only its beginning, anywhere in a text', () => {
    fc.assert(fc.property(fc.constantFrom('', 'resumable:', 'position=', '{', '"', '`'), fc.constantFrom('', '.5', ':abc', 'e12345678', '}'), (before, after) => {
      const epoch = createEpoch(SECRET_LENGTH)
      const shown = withoutSecret(`${before}${epoch}${after}`)
      expect(shown).not.toContain(epoch)
      // Two thirds of it stay secret.
      expect(shown).not.toContain(epoch.slice(0, 12))
      expect(shown.startsWith(`${before}${epoch.slice(0, 9)}…`)).toBe(true)
    }))
  })

  it('leaves ordinary epochs, names and paths alone', () => {
    fc.assert(fc.property(fc.nat(), (offset) => {
      const position = `${createEpoch()}.${offset}`
      expect(withoutSecret(position)).toBe(position)
      expect(isSecretPosition(position)).toBe(false)
    }))
    const looksAlike = createEpoch(SECRET_LENGTH)
    expect(publicChannelName(`room:${looksAlike}`)).toBe(`room:${looksAlike}`)
    expect(pathWithoutSecret(`/${looksAlike}?id=${looksAlike}`)).toBe(`/${looksAlike}?id=${looksAlike}`)
    expect(pathWithoutSecret(`/a?b=1&position=${looksAlike}.5&c=2`)).toBe(`/a?b=1&position=${looksAlike.slice(0, 9)}….5&c=2`)
    expect(isSecretPosition(`${looksAlike}.5`)).toBe(true)
  })

  it('is shortened in all errors of drivers', () => {
    const name = `resumable:${createEpoch(SECRET_LENGTH)}:abc`
    for (const { message } of [channelEnded(name), leaseLost(name)]) {
      expect(message).not.toContain(name)
      expect(message).toContain(publicChannelName(name))
    }
  })
})

describe('the epoch of a resumable run', () => {
  let driver: FailingDriver
  let recorder: Recorder
  let logged: unknown[][]
  let seen: unknown[]
  let heard: Set<string>
  const server = useSSEServer({ retryMs: 10, resumeWindowMs: 300, leaseMs: 500, shutdownMs: 0, retention: { maxMessages: 3 } }, {
    driver: () => driver = createFailingDriver(createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)),
    report: 'to the console',
  })
  beforeEach(() => {
    logged = []
    seen = []
    heard = new Set()
    for (const method of ['error', 'warn', 'info', 'log'] as const) vi.spyOn(console, method).mockImplementation((...line) => void logged.push(line))
    recorder = new Recorder(() => server.context)
    server.context.tap = recorder.tap
    const hooks = createHooks<SSEHooks>()
    for (const name of ['sse:open', 'sse:close', 'sse:publish', 'sse:gap', 'sse:error'] as const) {
      hooks.hook(name, (payload: object) => {
        heard.add(name)
        // The request is the client's own.
        const { event: _, ...rest } = payload as { event?: unknown }
        seen.push(rest)
        recorder.hooks[name](payload as never)
      })
    }
    server.context.insight.hooks = { isHeard: () => true, call: (name, payload) => (hooks.callHook as (name: string, payload: unknown) => unknown)(name, payload) }
  })
  afterEach(() => {
    driver.heal()
    vi.restoreAllMocks()
  })

  it('reaches neither hooks, logs, stats nor DevTools: opened, resumed, polled, with gaps, failures and a lost lease', async () => {
    const gate = Promise.withResolvers<void>()
    let round = 0
    server.route('/run', async function* () {
      const mine = round++
      for (let n = 1; n <= 5; n++) yield { n }
      await gate.promise
      if (mine % 2) yield new Map()
      throw new Error('gone')
    }, { resumable: true })
    const epochs: string[] = []
    const snapshots: unknown[] = []
    const look = async () => snapshots.push(await recorder.snapshot(startCursor()), readStats(server.context))
    for (let n = 0; n < 2; n++) {
      const first = await SSEReader.open(`${server.url}/run`)
      await first.until(({ messages }) => messages.length >= 3)
      const position = first.position!
      epochs.push(position.split('.')[0]!)
      await look()
      await first.close()
      // By query and by header, trimmed, malformed, with either transport.
      const oldest = `${epochs.at(-1)}.0`
      for (const [path, header] of [[`/run?position=${position}`, undefined], ['/run', position], [`/run?position=${oldest}`, undefined], ['/run', oldest], [`/run?position=${position}x`, undefined], ['/run', `${position}x`], [`/run?position=${position}&position=${position}`, undefined]] as const) {
        const reader = await SSEReader.open(server.url + path, { headers: header ? { 'last-event-id': header } : {} })
        if (reader.status === 200) await reader.until(({ controls }) => controls.length > 0)
        await look()
        await reader.close()
        const poll = await fetch(`${server.url}${path}${path.includes('?') ? '&' : '?'}transport=poll&waitMs=0`, { headers: header ? { 'last-event-id': header } : {} })
        await poll.text()
      }
    }
    const last = await SSEReader.open(`${server.url}/run?position=${epochs[0]}.5`)
    driver.fail('all')
    await eventually(() => expect(driver.failed).toBeGreaterThan(0))
    driver.heal()
    gate.resolve()
    await last.finished
    await look()
    await eventually(() => expect(server.context.producers.size).toBe(0))
    await look()
    expect([...heard].sort()).toEqual(['sse:close', 'sse:error', 'sse:gap', 'sse:open', 'sse:publish'])
    expect(logged.length).toBeGreaterThan(0)
    expect(epochs[0]).toHaveLength(SECRET_LENGTH + 1)
    // Hooks distinguish runs.
    expect(inspect(seen, { depth: 9, maxArrayLength: null, maxStringLength: null })).toContain(epochs[0]!.slice(0, 9))
    for (const [where, shown] of Object.entries({ hooks: seen, logs: logged, snapshots })) {
      const text = inspect(shown, { depth: 9, maxArrayLength: null, maxStringLength: null })
      for (const epoch of epochs) expect(text.includes(epoch.slice(0, 12)), `${where}: ${text.slice(Math.max(0, text.indexOf(epoch.slice(0, 12)) - 300), text.indexOf(epoch.slice(0, 12)) + 100)}`).toBe(false)
    }
  })
})
