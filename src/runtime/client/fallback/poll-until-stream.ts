import { childController } from '../../shared/abort'
import { delay } from '../delay'
import { isRepeatable } from '../request'
import { streamTransport } from '../transports/stream'
import type { ClientHost, Outcome, TransportEvents } from '../types'
import type { Verdict } from '../verdict'
import { forgetVerdict } from '../verdict'
import { pollTransport } from './poll'
import { nextVerdict, probeDelayMs, rememberVerdict } from './put-off'

/** Polls for as long as that goes well and, where streams are preferred, none gives a byte. When one does, the outcome is `again`. */
export async function pollUntilStream(own: AbortController, client: ClientHost, events: TransportEvents): Promise<Outcome> {
  const { options, memory, state, set, prepare } = client
  const prefersStream = options.transports[0] === 'stream'
  if (prefersStream && !memory.verdict) judge(client, nextVerdict())
  let polled!: Promise<Outcome>
  const answered = new Promise<void>((resolve) => {
    const onOpen = () => (events.onOpen(), resolve())
    polled = pollTransport(() => prepare(own.signal), options.reconnect.minDelayMs, { ...events, onOpen })
  })
  const outcome = await (prefersStream ? Promise.race([polled, probe(client, own.signal, answered)]) : polled)
  if (outcome) {
    const failure = outcome.type === 'failed' && !own.signal.aborted ? outcome : undefined
    memory.pollLost = !!failure && !failure.uncounted && !failure.error.statusCode
    if (!failure?.unpollable || !options.transports.includes('stream') || !(failure.refused || isRepeatable(options, state()))) return outcome
    memory.unpollable = true
    if (state().status === 'connected') set({ status: 'reconnecting' })
    return { type: 'again' }
  }
  // The poll is over before the stream begins: exactly one of the two is live.
  own.abort()
  await polled.catch(() => {})
  memory.pollLost = false
  return { type: 'again' }
}

/** Resolves when an event stream gives its first bytes. Delivers nothing: the stream is opened again then. */
async function probe(client: ClientHost, signal: AbortSignal, answered: Promise<void>): Promise<void> {
  const { options, memory, state, prepare } = client
  let alive = false
  // To a server, a second request without a position is a second client, for which it may start another run.
  if (state().position === undefined && !memory.pollLost) await answered
  while (!alive) {
    // A browser that is back online may be in another network.
    await delay(probeDelayMs(memory.verdict!), signal, true)
    const own = childController(signal)
    const ignore = () => {}
    const onOpen = () => {
      alive = true
      own.abort()
    }
    if (!signal.aborted && isRepeatable(options, state())) {
      // If it fails, the poll fails, too, and reports why.
      await prepare(own.signal).then(request => streamTransport(request, { onOpen, onPeer: ignore, onMessage: ignore, onPosition: ignore, onGap: ignore, onRetry: ignore })).catch(ignore)
    }
    own.abort()
    // Nobody waits any longer: the poll has failed meanwhile, and the next one tries the stream again at once.
    if (signal.aborted) return new Promise(() => {})
    judge(client, alive ? undefined : nextVerdict(memory.verdict))
  }
}

function judge({ url, memory }: ClientHost, verdict: Verdict | undefined): void {
  memory.verdict = verdict
  if (verdict) rememberVerdict(url, verdict)
  else forgetVerdict(url)
}
