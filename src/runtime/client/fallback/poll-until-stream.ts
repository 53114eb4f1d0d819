import { childController } from '../../shared/abort'
import { delay } from '../delay'
import { isRepeatable } from '../request'
import { streamTransport } from '../transports/stream'
import type { ClientHost, Outcome, TransportEvents } from '../host'
import type { Verdict } from '../verdict'
import { forgetVerdict } from '../verdict'
import { pollTransport } from './poll'
import { nextVerdict, probeDelayMs, rememberVerdict } from './probe-schedule'

/**
 * Polls until a poll fails or the source ends. Where streams are preferred, also until a stream delivers a byte: the outcome then is `switch`.
 */
export async function pollUntilStream(own: AbortController, client: ClientHost, events: TransportEvents): Promise<Outcome> {
  const { options, memory, state, set, prepare } = client
  const prefersStream = options.transports[0] === 'stream'
  // This code took time to load, and the client may be at another URL by now.
  if (own.signal.aborted) return { type: 'switch' }
  if (prefersStream && !memory.verdict) setVerdict(client, nextVerdict())
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
    return { type: 'switch' }
  }
  // A gap of the same turn still ends the attempt: the state is loaded first, after the delay of a gap.
  const reloads = options.loadState && !memory.loaded
  if (reloads) events.onState({ transport: 'stream' })
  // The poll ends before the stream begins, so that exactly one of the two delivers messages.
  own.abort()
  const last = await polled.catch(() => {})
  memory.pollLost = false
  return (reloads && last) || { type: 'switch' }
}

/** Resolves when an event stream delivers its first bytes. The probe delivers no messages: the client then opens the stream again. */
async function probe(client: ClientHost, signal: AbortSignal, answered: Promise<void>): Promise<void> {
  const { options, memory, state, prepare } = client
  let alive = false
  // For the server, a second request without a position is a second client, for which it may start another run.
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
      // A failure is ignored: the poll fails too, and reports the cause.
      await prepare(own.signal).then(request => streamTransport(request, { onOpen, onPeer: ignore, onMessage: ignore, onPosition: ignore, onGap: ignore, onState: ignore, onRetry: ignore })).catch(ignore)
    }
    own.abort()
    // The poll has ended meanwhile, so this promise stays pending. The next poll probes the stream again.
    if (signal.aborted) return new Promise(() => {})
    setVerdict(client, alive ? undefined : nextVerdict(memory.verdict))
  }
}

function setVerdict({ url, memory }: ClientHost, verdict: Verdict | undefined): void {
  memory.verdict = verdict
  if (verdict) rememberVerdict(url, verdict)
  else forgetVerdict(url)
}
