import type { SSEMessage } from '../../shared/types'
import { createSSEClient, initialState } from '../client'
import type { ResolvedClientOptions } from '../options'
import { isHidden } from '../page-life'
import { isUpTo } from '../../shared/position'
import { isRepeatable } from '../request'
import type { SSEClient, SSEClientEvents, SSEClientState } from '../types'
import type { FeedEvent } from './election'
import type { Member } from './group'
import { joinGroup } from './group'

/** Maximum number of live events that wait while a member catches up. Beyond it the oldest are dropped, and the member reads them itself. */
const MAX_WAITING = 1_000

/**
 * Client that shares its connection with all equal calls on the page or in the browser. It has the interface of {@link createSSEClient}.
 *
 * It follows its group's feed. While it has not caught up with the feed, it follows a client of its own, which polls until it has. Only its
 * position decides which: a late joiner, a missing step of the feed and a new leader are the same case.
 */
export function createSharedClient(url: string, options: ResolvedClientOptions, { onMessage, onState }: SSEClientEvents, state = initialState(options.transports[0]!)): SSEClient {
  const { position: option, transports, until } = options
  const requested = option === undefined ? option : `${option}`
  let own = createOwn()
  let waiting: FeedEvent[] | undefined
  let session: AbortController | undefined

  const member: Member = {
    options,
    // Before the server has sent a position, the requested one: members with the same request then begin together.
    at: state.position ?? requested,
    get state() {
      return state
    },
    take,
  }

  function set(change: Partial<SSEClientState>): void {
    state = { ...state, ...change }
    onState(change)
  }

  function leave(change?: Partial<SSEClientState>): void {
    if (!session) return
    session.abort()
    session = waiting = undefined
    own.stop()
    if (change) set(change)
  }

  /** Applies a change of the followed client's state. */
  function adopt(change: Partial<SSEClientState>): void {
    if (change.status === 'closed') leave(change)
    // A new client of the feed connects. For a member that was connected, that is a reconnect.
    else set(change.status === 'connecting' && state.status.endsWith('ed') ? { ...change, status: 'reconnecting' } : change)
  }

  function receive(message: SSEMessage, change: Partial<SSEClientState>): void {
    const current = session
    state = { ...state, ...change }
    void onMessage(message, change)
    // A callback may have stopped this client, or connected it elsewhere.
    if (until?.(message) && session === current) leave({ status: 'closed', ended: true, error: undefined })
  }

  function take(event: FeedEvent): void {
    if (waiting) {
      if (waiting.push(event) > MAX_WAITING) waiting.shift()
      return rejoinIfCaughtUp()
    }
    const { position, error, status, peer } = event.state
    // Foreign IDs cannot be compared, and a poll cannot resume from them.
    const isNext = event.after === member.at || (position !== undefined && peer !== 'resumable')
    if (!isNext && !has(position)) {
      waiting = [event]
      own = createOwn()
      return own.connect()
    }
    if (isNext) member.at = position ?? event.after
    const next: Partial<SSEClientState> = {
      ...event.state,
      position: isNext ? position : state.position,
      gap: (isNext && event.gap) || state.gap,
    }
    // Errors of callbacks are not in the feed. They stay until the next connection.
    if (!error && status === state.status) delete next.error
    if (isNext && event.message) receive(event.message, next)
    else adopt(next)
  }

  function has(position?: string): boolean {
    return isUpTo(position, member.at)
  }

  /** Client that reads missed messages. Its state counts only while it catches up. */
  function createOwn(): SSEClient {
    const only = transports.includes('poll') ? 'poll' : 'stream'
    return createSSEClient(url, { ...options, transports: [only], until: undefined }, {
      onMessage(message, { position }) {
        member.at = position ?? member.at
        receive(message, { position, had: own.state.had, attempt: 0 })
        rejoinIfCaughtUp()
      },
      onState(change) {
        if (!waiting) return
        const { status, error } = change
        // The route cannot be polled, so missed messages are lost: continue with the live ones.
        if (status === 'closed' && [200, 406].includes(error?.statusCode as number)) {
          member.at = waiting[0]!.after
          return rejoin(0)
        }
        if (change.position) member.at = change.position
        adopt(change)
        rejoinIfCaughtUp()
      },
    }, { ...state, transport: only })
  }

  /** Returns to the feed, once this client's position is one of the feed, or after it. */
  function rejoinIfCaughtUp(): void {
    if (!waiting) return
    const next = waiting.findIndex(event => event.after === member.at)
    // -1: only the last event applies, for its state.
    if (next >= 0 || has(waiting.at(-1)!.state.position)) rejoin(next)
  }

  function rejoin(from: number): void {
    const events = waiting!.slice(from)
    const current = session
    waiting = undefined
    own.stop()
    for (const event of events) {
      if (session === current) take(event)
    }
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
        member.at = requested
      }
      const { signal } = session = new AbortController()
      set({ ...state, status: options.pauseWhenHidden && isHidden() ? 'idle' : 'connecting', error: undefined, attempt: 0, ended: false })
      void joinGroup(url, member, signal)
    },
    pause() {
      if (isRepeatable(options, state)) leave({ status: 'idle', error: undefined })
    },
    reset() {
      leave()
      member.at = requested
      onState(state = initialState(transports[0]!))
    },
    stop() {
      leave({ status: 'closed', error: undefined })
    },
  }
}
