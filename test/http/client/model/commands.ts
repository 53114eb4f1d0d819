import fc from 'fast-check'
import type { LoadOutcome } from '../../../../src/runtime/client/host'
import { clientError } from '../../../../src/runtime/client/response'
import { control } from '../../../support/scripted-server'
import type { Wire } from './server'
import type { Scenario, World } from './world'

type Run = (world: World) => Promise<void>
export type Command = fc.AsyncCommand<object, World>

function command(label: string, run: Run): Command {
  return { check: () => true, run: (_, world) => run(world), toString: () => label }
}

const LOADED = '`load` resolves'
const NO_STREAM = 'a 200 that is no stream, or no batch'
const GAP = '`gap`, with `load`'
const DROP = 'a drop: no connection, or an end of bytes'
const REFUSED = '408, 425, 429, 5xx'

/** Answers the oldest request that has none. The answer to a probe leads nowhere. */
function answer(label: string, input: (wire: Wire, world: World) => string | undefined, act: (world: World, wire: Wire) => void): Command {
  return command(label, async (world) => {
    const wire = world.server.unanswered
    if (wire) await world.step(world.isProbe(wire) ? undefined : input(wire, world), () => act(world, wire))
  })
}

function status(code: number, input: string, headers: Record<string, string> = {}): Command {
  return answer(`${code} ${JSON.stringify(headers)}`, () => input, (world, wire) => {
    world.floorMs = Number(headers['retry-after'] ?? 0) * 1_000
    world.server.status(wire, code, { message: 'no' }, headers)
  })
}

function honest(split: number): Command {
  return answer(`honest(${split})`, (wire, { server, isForeign, scenario }) => {
    const { ended, epoch, head } = server.log(wire.path)
    if (scenario.loads && server.hasGap(wire)) return GAP
    if (isForeign && wire.isPoll) return NO_STREAM
    // It sends the rest, and its end is an end of bytes.
    if (ended && isForeign && wire.position !== `e${epoch}.${head}`) return DROP
    if (ended) return '`end`, 204, an ended batch, `until`'
    if (!wire.isPoll) return 'first bytes of a stream'
    // It is held until there is news, or a gap to report.
    return undefined
  }, (world, wire) => {
    world.server.split = split
    world.server.honest(wire)
  })
}

/** The next input for a poll: it may wait, or be answered, and both are right. */
function honestAny(split: number): Command {
  const stream = honest(split)
  return command(stream.toString(), async (world) => {
    const wire = world.server.unanswered
    if (wire?.isPoll && world.isForeign) return world.step(NO_STREAM, () => world.server.honest(wire))
    if (!wire?.isPoll || world.server.log(wire.path).ended || (world.scenario.loads && world.server.hasGap(wire))) return stream.run({}, world)
    world.server.split = split
    const answersNow = () => !world.server.held.some(one => one.wire === wire)
    const before = world.status
    world.server.honest(wire)
    const answered = answersNow()
    await world.step(undefined, () => {}).catch((error) => {
      // An answered client is connected.
      if (!(answered && world.status === 'connected' && before !== 'connected' && world.violations.length === 1)) throw error
      world.violations.length = 0
    })
  })
}

/** The next input of a stream that has started. */
function live(label: string, input: (world: World) => string | undefined, act: (world: World, one: World['server']['live'][number]) => void): Command {
  return command(label, async (world) => {
    const one = world.server.live[0]
    if (one) await world.step(world.isProbe(one.wire) || one.withheld !== undefined ? undefined : input(world), () => act(world, one))
  })
}

/** A control message. Of another server, it is a message like any other. */
function told(label: string, input: string, message: (world: World) => { type: string } & Record<string, unknown>, before: (world: World, one: World['server']['live'][number]) => void = () => {}): Command {
  return live(label, world => world.isForeign ? undefined : input, (world, one) => {
    if (!world.isForeign) before(world, one)
    world.server.write(one, control(message(world)))
  })
}

function drop(label: string, how: 'cut' | 'end'): Command {
  return command(label, async (world) => {
    const wire = world.server.open[0]
    if (!wire) return
    await world.step(world.isProbe(wire) ? undefined : DROP, () => {
      if (how === 'cut') wire.cut()
      else if (world.server.live.some(one => one.wire === wire)) wire.end()
      else world.server.cut(wire)
    })
  })
}

/** Settles the call of `load` that is under way. */
function load(label: string, input: string, outcome: (world: World, one: NonNullable<World['load']>) => LoadOutcome): Command {
  return command(label, world => world.step(world.load && input, () => world.settleLoad(one => outcome(world, one))))
}

function loadFailed(world: World, statusCode: number, retry: boolean, retryAfterMs?: number): LoadOutcome {
  world.floorMs = retryAfterMs ?? 0
  return { type: 'failed', error: clientError('LOAD_FAILED', 'Loading failed', undefined, statusCode, retry), retryAfterMs, refused: true }
}

const WAKE = ['pageshow', 'resume', 'visibilitychange', 'online']

export const commands: fc.Arbitrary<Command>[] = [
  fc.constantFrom(1, 3, 1_000).map(honestAny),
  fc.constantFrom(1, 3, 1_000).map(honestAny),
  fc.constantFrom(7, 1_000).map(honestAny),
  fc.constantFrom(1, 5).map(count => command(`publish(${count})`, world => publish(world, count))),
  fc.constantFrom(1, 5).map(count => command(`publish(${count})`, world => publish(world, count))),
  fc.constantFrom(100, 500, 3_000, 30_000, 61_000, 1_000_000).map(ms => command(`advance(${ms})`, world => world.advance(ms))),
  fc.constantFrom(100, 500, 3_000, 30_000).map(ms => command(`advance(${ms})`, world => world.advance(ms))),
  fc.constantFrom(1_000, 3_600_000).map(ms => command(`sleep(${ms})`, world => world.sleep(ms))),
  fc.constantFrom(
    status(401, 'any other 4xx'),
    status(404, 'any other 4xx'),
    status(406, 'any other 4xx'),
    status(429, REFUSED, { 'retry-after': '7' }),
    status(503, REFUSED, { 'retry-after': '7200' }),
    status(500, REFUSED),
    status(408, REFUSED),
    answer('204', () => '`end`, 204, an ended batch, `until`', (world, wire) => world.server.status(wire, 204)),
    answer('pending', () => '503 `pending`', (world, wire) => {
      world.floorMs = 2_000
      world.server.status(wire, 503, { type: 'pending', message: 'away', retryMs: 2_000 })
    }),
    answer('a page', () => NO_STREAM, (world, wire) => world.server.status(wire, 200, '<html>')),
    answer('other JSON', () => NO_STREAM, (world, wire) => world.server.status(wire, 200, { hello: 'world' })),
  ),
  fc.constantFrom(
    answer('mute', () => undefined, (world, wire) => world.server.begin(wire, '')),
    answer('garbage', wire => wire.isPoll ? undefined : 'first bytes of a stream', (world, wire) => {
      world.server.begin(wire, '\u0000:\uFFFD\nfoo: bar\nretry: x\nid: \u0000\ndat')
    }),
    answer('cut', () => DROP, (world, wire) => world.server.cut(wire)),
  ),
  fc.constantFrom(
    drop('cut', 'cut'),
    drop('cut', 'cut'),
    drop('end of bytes', 'end'),
    told('leave', '`leave`', world => ({ type: 'leave', retryMs: world.ground.leaveMs }), (world, one) => {
      if (one.withheld === undefined && !world.isFragile && !world.isProbe(one.wire)) world.notBefore = Date.now() + world.ground.leaveMs
    }),
    told('error to try again', '`error` that may be tried again', () => ({ type: 'error', code: 'X', statusCode: 503, message: 'x', retry: true })),
    told('final error', '`error` that may not', () => ({ type: 'error', code: 'X', statusCode: 500, message: 'x', retry: false })),
    live('gap', world => world.isForeign ? undefined : world.scenario.loads ? GAP : '`gap`', (world, one) => {
      if (!world.isForeign) world.server.gap(one)
    }),
    live('a wrong id', () => undefined, (world, one) => world.server.write(one, world.isForeign ? ':\n' : 'id: e9.77\n\n')),
    live('heartbeat', () => undefined, (world, one) => world.server.write(one, ':\n')),
  ),
  fc.constantFrom(
    load('load()', LOADED, (world, one) => world.loaded(one)),
    load('load() behind', LOADED, (world, one) => world.loaded(one, 3)),
    load('load() fails', '`load` rejects', world => loadFailed(world, 0, true)),
    load('load() is refused', '`load` rejects', world => loadFailed(world, 429, true, 7_000)),
    load('load() fails for good', '`load` rejects with any other 4xx, or resolves without a position', world => loadFailed(world, 401, false)),
  ),
  fc.constant(load('load()', LOADED, (world, one) => world.loaded(one))),
  fc.constantFrom(
    live('withhold', () => undefined, (world, one) => world.server.withhold(one, true)),
    command('release', async (world) => {
      const one = world.server.live[0]
      if (one?.withheld !== undefined) await release(world, one)
    }),
    command('trim', async world => world.server.trim(world.path, 2)),
    command('lose', async world => losing(world)),
    command('the poll waited', async (world) => {
      const [one] = world.server.held
      if (one) await world.step('a batch', () => world.server.answerPoll(one))
    }),
    command('finish', async world => finishing(world)),
  ),
  fc.constantFrom(
    command('connect()', world => world.connect()),
    command('connect(/1)', world => world.connect('/1')),
    command('connect(/2)', world => world.connect('/2')),
    command('restart()', world => world.connect(world.path)),
    command('stop()', world => world.stop()),
    command('pause()', world => world.pause()),
    command('reset()', world => world.reset()),
  ),
  fc.constantFrom(
    command('pagehide', world => world.leave('pagehide')),
    command('freeze', world => world.leave('freeze')),
    command('hidden', world => world.leave('visibilitychange')),
    command('offline', world => world.offline()),
  ),
  fc.shuffledSubarray(WAKE, { minLength: 1 }).map(types => command(`wake(${types})`, world => world.wake(types))),
]

/** News for streams and polls that wait for them; a bunch of inputs that each lead nowhere, but from a poll's first answer. */
async function publish(world: World, count: number): Promise<void> {
  const poll = world.server.held.some(one => one.wire.path === world.path)
  await world.step(poll ? 'a batch' : undefined, () => world.server.publish(world.path, count))
}

/** The bytes held back may be anything, an end among them. */
async function release(world: World, one: World['server']['live'][number]): Promise<void> {
  world.server.withhold(one, false)
  await world.ground.settled()
  await world.step(undefined, () => {})
}

async function losing(world: World): Promise<void> {
  const lost = world.server.open.some(wire => wire.path === world.path && !world.isProbe(wire))
  await world.step(lost ? DROP : undefined, () => world.server.lose(world.path))
}

async function finishing(world: World): Promise<void> {
  const told = [...world.server.live.filter(one => one.withheld === undefined), ...world.server.held].some(one => !world.isProbe(one.wire))
  const input = world.isForeign ? DROP : '`end`, 204, an ended batch, `until`'
  await world.step(told ? input : undefined, () => world.server.finish(world.path))
}

export const scenarios = fc.record({
  options: fc.record({
    method: fc.constantFrom('GET', 'GET', 'POST'),
    transports: fc.constantFrom(['stream', 'poll'], ['stream', 'poll'], ['stream'], ['poll'], ['poll', 'stream']),
    silenceTimeoutMs: fc.constantFrom(undefined, undefined, 2_000, false),
    pauseWhenHidden: fc.boolean(),
    reconnect: fc.record({ maxAttempts: fc.constantFrom(Infinity, Infinity, 3, 1) }),
  }) as fc.Arbitrary<Scenario['options']>,
  hangs: fc.constantFrom(0, 0, 0, 3),
  isForeign: fc.constantFrom(false, false, true),
  loads: fc.constantFrom(false, true),
  probe: fc.constantFrom(undefined, 'lets through', 'holds back', 'another page'),
  seed: fc.nat(),
  // Another server answers no poll: a client that begins with one needs a stream to go back to, and a request that it may repeat.
}).map(scenario => scenario.isForeign ? { ...scenario, loads: false } : scenario).map(scenario => scenario.isForeign && scenario.options.transports![0] === 'poll' && (scenario.options.method === 'POST' || !scenario.options.transports![1])
  ? { ...scenario, options: { ...scenario.options, transports: ['stream', 'poll'] } }
  : scenario) as fc.Arbitrary<Scenario>
