import type { SSEMessage } from '../../shared/types'
import { isWholeUpTo, partOf, withPart } from '../../shared/whole-position'
import { backoffDelay, backoffFor } from '../backoff'
import { createSSEClient, initialState } from '../client'
import { delay } from '../delay'
import type { ResolvedClientOptions } from '../host'
import { isHidden } from '../page-life'
import { isRepeatable } from '../request'
import { noPositions } from '../response'
import type { SSEClient, SSEClientEvents, SSEClientState } from '../types'
import type { FeedEvent } from './election'
import type { Member } from './group'
import { joinGroup } from './group'
import type { Step } from './meeting'
import { stepsFrom } from './meeting'
import { progressOf, reopened, viewOf } from './view'

/** Maximum number of live events that wait while a member catches up. Beyond it the oldest are dropped, and the member reads them itself. */
const MAX_WAITING = 1_000

/**
 * Client that shares its connection with all equal calls on the page or in the browser. It has the interface of {@link createSSEClient}.
 *
 * It follows its group's feed. While it has not caught up with the feed, it follows a client of its own, which polls until it has. Only its
 * position decides which: a late joiner, a missing step of the feed and a new leader are the same case.
 */
export function createSharedClient(url: string, options: ResolvedClientOptions, { onMessage, onState, onLoad }: SSEClientEvents, state = initialState(options.transports[0]!)): SSEClient {
  const { channel, transports, until, readState } = options
  const view = viewOf(channel)
  const { own, narrow, narrowChange, unknownChannel } = view
  const requested = () => options.position === undefined ? undefined : `${options.position}`
  /** The state is loaded, or there is no option `load`. */
  let loaded = !readState || !!state.position
  /** The route does not have the channel. */
  let isDormant = false
  let reader = createReader()
  let waiting: FeedEvent[] | undefined
  let session: AbortController | undefined

  const member: Member = {
    options,
    // Before the server has sent a position, the requested one: members with the same request then begin together.
    at: state.position ?? requested(),
    get state() {
      return state
    },
    get isDormant() {
      return isDormant
    },
    whole,
    take: event => take(narrow(event)),
  }

  function whole(position: string | undefined): string | undefined {
    return view.whole(position, state.channels)
  }

  function set(change: Partial<SSEClientState>): void {
    state = { ...state, ...change }
    onState(change)
  }

  function leave(change?: Partial<SSEClientState>): void {
    if (!session) return
    session.abort()
    session = waiting = undefined
    isDormant = false
    reader.stop()
    if (change) set(change)
  }

  /** Applies a change of the followed client's state. */
  function adopt(change: Partial<SSEClientState>): void {
    if (change.status === 'closed') leave(change)
    // A new client of the feed connects. For a member that was connected, that is a reconnect.
    else set(change.status === 'connecting' && state.status.endsWith('ed') ? { ...change, status: 'reconnecting' } : change)
  }

  function receive(message: SSEMessage, change: Partial<SSEClientState>): void | Promise<void> {
    const current = session
    state = { ...state, ...change }
    const busy = onMessage(message, change)
    // A callback may have stopped this client, or connected it elsewhere.
    if (until?.(message) && session === current) leave({ status: 'closed', ended: true, error: undefined })
    return busy
  }

  /** Closes this client if its channel is over, whatever the others do. */
  function leaveIfOver({ channels }: Partial<SSEClientState>): void {
    const over = channel !== undefined && channels?.[channel]
    if (over) leave({ channels, status: 'closed', ended: over === true, error: over === true ? undefined : over })
  }

  /** Whether the route lacks the channel. The client is then closed, until a later `open` has it. */
  function isUnknown({ status, peer, channels }: SSEClientState): boolean {
    if (channel === undefined || peer === undefined || status !== 'connected') return isDormant
    const isMissing = !Object.hasOwn(channels ?? {}, channel)
    if (isMissing && !isDormant) {
      waiting = undefined
      loaded = !readState
      reader.stop()
      // With the channel, its position and its gap are gone. The next connection starts from scratch, and shows which channels there are.
      member.at = requested()
      set({ ...initialState(state.transport), channels: undefined, peer: undefined, status: 'closed', error: unknownChannel() })
    }
    return isDormant = isMissing
  }

  /** Applies a step of the feed. */
  function take(event: FeedEvent, isRead = false): void | Promise<void> {
    if (isUnknown(event.state)) return
    if (waiting) {
      if (waiting.push(event) > MAX_WAITING) waiting.shift()
      return rejoinIfCaughtUp()
    }
    if (!loaded) return void reload(event)
    const { position, error, status, peer } = event.state
    if (readState && peer && peer !== 'resumable') return leave({ status: 'closed', error: noPositions() })
    // Of several channels, a step concerns one.
    const key = channel === undefined ? (event.message ?? event.gap)?.channel : undefined
    const part = (whole?: string) => key === undefined ? whole : partOf(whole, key)
    // Foreign IDs cannot be compared, and a poll cannot resume from them.
    const isNext = !isRead && (part(event.after) === part(member.at) || (position !== undefined && (!readState || !!peer) && peer !== 'resumable'))
    if (!isRead && !isNext && !isWholeUpTo(part(position), part(member.at))) {
      waiting = [event]
      // It requests the end of all other channels. A feed that connects does not know them yet.
      state = { ...state, channels: reopened(event.state.channels ?? state.channels) }
      reader = createReader()
      return reader.connect()
    }
    if (isNext && event.gap && readState) return void reload(event)
    if (isNext) member.at = key === undefined ? position ?? event.after : withPart(member.at, key, part(position))
    const next: Partial<SSEClientState> = {
      ...event.state,
      // A member that begins after the feed's last step has its requested position, and no message yet.
      position: isNext ? position && member.at : state.position ?? (position && member.at),
      gap: (isNext && event.gap) || state.gap,
    }
    // Errors of callbacks are not in the feed. They stay until the next connection.
    if (!error && status === state.status) delete next.error
    const current = session
    const busy = isNext && event.message ? receive(event.message, next) : adopt(next)
    if (session === current) leaveIfOver(event.state)
    return busy
  }

  /** Loads the state again, after a gap in the feed or when the route has the channel again. All members of the feed do so at once. */
  async function reload(event: FeedEvent): Promise<void> {
    loaded = false
    // A state that is older than the gap does not meet the feed here.
    const steps = waiting = [{ after: event.state.position, state: event.state }]
    set({ ...event.state, channels: reopened(event.state.channels), gap: event.gap, status: 'reconnecting' })
    await delay(backoffDelay(backoffFor(options.reconnect, undefined, state.peer), 1), session!.signal)
    // This client has stopped, or its channel has gone.
    if (waiting !== steps) return
    reader = createReader()
    reader.connect()
  }

  /** Client that reads missed messages. Its state counts only while it catches up. */
  function createReader(): SSEClient {
    const only = transports.includes('poll') ? 'poll' : 'stream'
    const readWhole: typeof readState = readState && (signal => readState(signal).then(outcome => outcome.type === 'loaded' ? { ...outcome, position: whole(outcome.position)! } : outcome))
    return createSSEClient(url, { ...options, position: whole(requested()), transports: [only], until: undefined, readState: readWhole }, {
      onMessage(message, change) {
        if (channel !== undefined && message.channel !== channel) return
        const position = own(change.position)
        member.at = position ?? member.at
        const busy = receive(message, { position, had: reader.state.had, attempt: 0 })
        rejoinIfCaughtUp()
        return busy
      },
      onLoad(data, change) {
        loaded = true
        const position = member.at = own(change.position)
        state = { ...state, position }
        onLoad!(data, { position })
        if (waiting) return rejoinIfCaughtUp()
        reader.stop()
        if (session) void joinGroup(url, member, session.signal)
      },
      onState(changed) {
        const change = narrowChange(changed)
        const { status, error, gap } = change
        if (readState && gap && gap !== state.gap) {
          loaded = false
          return set({ gap })
        }
        if (!loaded) return adopt(progressOf(change, state.status))
        if (!waiting || isUnknown(reader.state)) return
        // The route cannot be polled, so missed messages are lost: continue with the live ones.
        if (status === 'closed' && error?.code !== 'LOAD_FAILED' && [200, 406].includes(error?.statusCode as number)) {
          member.at = waiting[0]!.after
          return rejoin(waiting.map(event => [event, false]))
        }
        if (change.position) member.at = change.position
        adopt(change)
        leaveIfOver(change)
        rejoinIfCaughtUp()
      },
    }, { ...state, position: loaded && state.position ? whole(state.position) : undefined, transport: only })
  }

  /** Returns to the feed, once this client's position is one of the feed, or after it. */
  function rejoinIfCaughtUp(): void {
    if (!waiting || !loaded) return
    // A loaded position without keys is not one of this route: the reader gets a gap, and loads again.
    if (readState && channel === undefined && Object.keys(waiting.at(-1)!.state.channels ?? {}).length && !member.at?.includes(':')) return
    const steps = stepsFrom(member.at, waiting, channel === undefined)
    if (steps) rejoin(steps)
  }

  function rejoin(steps: Step[]): void {
    const current = session
    waiting = undefined
    reader.stop()
    for (const step of steps) if (session === current) void take(...step)
  }

  return {
    get state() {
      return state
    },
    connect(to) {
      leave()
      if (to !== undefined) {
        url = to
        state = initialState(transports[0]!)
        member.at = requested()
        loaded = !readState
      }
      const { signal } = session = new AbortController()
      set({ ...state, status: options.pauseWhenHidden && isHidden() ? 'idle' : 'connecting', error: undefined, attempt: 0, ended: false })
      if (loaded) return void joinGroup(url, member, signal)
      reader = createReader()
      reader.connect()
    },
    pause() {
      if (!isDormant && (!loaded || isRepeatable(options, state))) leave({ status: 'idle', error: undefined })
    },
    reset() {
      leave()
      member.at = requested()
      loaded = !readState
      onState(state = initialState(transports[0]!))
    },
    stop() {
      leave({ status: 'closed', error: undefined })
    },
  }
}
