import fc from 'fast-check'
import { afterEach, describe, it, vi } from 'vitest'
import { VirtualClock, settled } from '../../support/virtual-clock'
import type { Command } from './model/commands'
import { commands, scenarios } from './model/commands'
import { inProcessFetch } from './model/in-process'
import type { Scenario } from './model/world'
import { Page, World } from './model/world'

/** More in a run by hand: `SSE_RUNS=20` makes it 20 times as many. */
const RUNS = 5_000 * Number(process.env.SSE_RUNS ?? 1)

afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

async function run(scenario: Scenario, sequence: Iterable<Command>): Promise<void> {
  const clock = new VirtualClock()
  const page = new Page()
  clock.install()
  page.install()
  const world: World = new World(scenario, {
    exact: true,
    origin: 'http://model',
    settled,
    advance: ms => clock.advance(ms),
    sleep: ms => clock.sleep(ms),
    get timers() {
      return clock.pending
    },
  }, page)
  vi.stubGlobal('fetch', inProcessFetch(wire => world.onRequest(wire)))
  // Most begin with what nothing happens without.
  if (scenario.seed % 8) await world.connect()
  await fc.asyncModelRun(() => ({ model: {}, real: world }), sequence)
  await world.heal()
  await world.finish()
}

describe('the client, whatever server, network, page and user do', () => {
  it(`holds what it promises in ${RUNS} sequences of commands`, async () => {
    await fc.assert(fc.asyncProperty(scenarios, fc.commands(commands, { maxCommands: 40, size: 'max' }), run), { numRuns: RUNS, endOnFailure: !!process.env.CI })
  }, 600_000)
})
