import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { eventually } from '../../support/conditions'
import { VirtualClock, settled } from '../../support/virtual-clock'
import type { Command } from './model/commands'
import { commands, scenarios } from './model/commands'
import { inProcessFetch } from './model/in-process'
import type { HttpGround } from './model/over-http'
import { listen } from './model/over-http'
import type { Wire } from './model/server'
import { Page } from './model/page'
import type { Scenario } from './model/world'
import { World } from './model/world'

/** More in a run by hand: `SSE_RUNS=20` makes it 20 times as many. */
const TIMES = Number(process.env.SSE_RUNS ?? 1)
const RUNS = 5_000 * TIMES
const HTTP_RUNS = 200 * TIMES
/** Over HTTP, every amount of virtual time is this much. */
const TICK_MS = 12

afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

async function play(world: World, sequence: Iterable<Command>): Promise<void> {
  // Most begin with the command that all others need.
  if (world.scenario.seed % 8) await world.connect()
  try {
    await fc.asyncModelRun(() => ({ model: {}, real: world }), sequence)
    await world.heal()
    await world.finish()
  }
  finally {
    // After a failure, the client would keep its listeners, and every later client of this file would hear no event of its own page.
    world.client.stop()
  }
}

/** No network, and virtual time: the invariants are checked after every step. */
function inProcessWorld(scenario: Scenario): World {
  const clock = new VirtualClock()
  const page = new Page()
  clock.install()
  page.install(scenario.probe && 'http://model')
  const world: World = new World(scenario, {
    exact: true,
    origin: 'http://model',
    leaveMs: 4_000,
    settled,
    advance: ms => clock.advance(ms),
    sleep: ms => clock.sleep(ms),
    get timers() {
      return clock.pending
    },
  }, page)
  vi.stubGlobal('fetch', inProcessFetch(wire => world.onRequest(wire), (url, { method, signal }) => method === 'HEAD' ? Promise.resolve(new Response()) : page.probe(scenario.probe, signal!)))
  return world
}

const inProcess = (scenario: Scenario, sequence: Iterable<Command>) => play(inProcessWorld(scenario), sequence)

/** Plays the commands over real sockets and in real time. Each message once and in order, or a gap; all of them in the end; nothing is left. */
async function overHttp(http: HttpGround, scenario: Scenario, sequence: Iterable<Command>): Promise<void> {
  const { setTimeout: set } = globalThis
  const pass = (ms: number): Promise<void> => new Promise(resolve => set(resolve, ms))
  const page = new Page()
  page.install()
  const options = { ...scenario.options, connectTimeoutMs: 60, reconnect: { ...scenario.options.reconnect, minDelayMs: 1, maxDelayMs: 4 } }
  const world = new World({ ...scenario, options }, { exact: false, origin: http.origin, leaveMs: 4, settled: () => pass(1), advance: () => pass(TICK_MS), sleep: () => {}, timers: 0 }, page)
  world.server.heartbeatMs = 40
  http.onRequest = wire => world.onRequest(wire)
  await play(world, sequence)
  await eventually(() => expect([world.server.open, page.listeners]).toEqual([[], 0]))
}

const sequences = (maxCommands: number) => fc.commands(commands, { maxCommands, size: 'max' })

// Found over HTTP under load, as `e2.1 behind e1.0`: the model itself took the late answer to a given-up request for the client's.
it('a request that was given up, and is answered late, is not where the client starts', async () => {
  const world = inProcessWorld({ options: {}, hangs: 0, seed: 1 })
  world.server.lose('/1')
  await world.connect('/2')
  const late: Wire = { ...world.server.wires[0]!, open: true, head: () => {}, write: () => {}, end: () => {} }
  await world.connect('/1')
  world.server.honest(world.server.unanswered!)
  world.server.honest(late)
  await world.heal()
  await world.finish()
})

/** A client with `load` that polls, and whose poll will report a gap. */
async function worldBeforeGap(): Promise<World> {
  const world = inProcessWorld({ options: {}, hangs: 0, seed: 1, loads: true })
  const { server } = world
  await world.connect()
  await world.step('`load` resolves', () => world.settleLoad(one => world.loaded(one)))
  while (!server.unanswered?.isPoll) await world.advance(500)
  await world.step('a batch', () => server.honest(server.unanswered!))
  await world.step('a drop: no connection, or an end of bytes', () => server.lose('/1'))
  await world.wake(['online'])
  return world
}

// Found with some delays only, as `a request without a state to follow`: `online` lets the probe begin while the answer to the poll, a gap, is read.
it('a probe may be on its way when a poll reports a gap', async () => {
  const world = await worldBeforeGap()
  const { server, page } = world
  expect(server.unanswered).toMatchObject({ isPoll: true })
  page.dispatch('online')
  await world.step('`gap`, with `load`', () => server.honest(server.unanswered!))
  expect(server.wires.at(-1)).toMatchObject({ isPoll: false, open: false })
  await world.heal()
  await world.finish()
})

// Found as `a load while connected`: the stream took over from the poll, and what the poll had just reported was lost.
it('a poll may report a gap in the turn in which the probe finds that streams work', async () => {
  const world = await worldBeforeGap()
  const { server, page } = world
  const poll = server.unanswered!
  page.dispatch('online')
  await world.ground.settled()
  const probe = server.wires.at(-1)!
  expect([poll.isPoll, probe.isPoll]).toEqual([true, false])
  await world.step('`gap`, with `load`', () => [probe, poll].forEach(wire => server.honest(wire)))
  expect(world.client.state).toMatchObject({ status: 'reconnecting', transport: 'stream' })
  // A random delay keeps all clients that got the gap from loading at once.
  expect(world.load).toBeUndefined()
  await world.heal()
  await world.finish()
})

describe('the client, at any act of server, network, page and user', () => {
  let http: HttpGround
  beforeAll(async () => {
    http = await listen()
  })
  afterAll(() => http.close())

  // @guarantee order-once
  it(`keeps its promises in ${RUNS} sequences of commands`, async () => {
    await fc.assert(fc.asyncProperty(scenarios, sequences(40), inProcess), { numRuns: RUNS, endOnFailure: !!process.env.CI })
  }, 600_000)

  it(`keeps them in ${HTTP_RUNS} sequences over HTTP`, async () => {
    await fc.assert(fc.asyncProperty(scenarios, sequences(20), (scenario, sequence) => overHttp(http, scenario, sequence)), { numRuns: HTTP_RUNS, endOnFailure: true })
  }, 600_000)
})
