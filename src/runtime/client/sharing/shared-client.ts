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

/** The most live events that wait while a member catches up; beyond, the oldest are dropped, and it reads on until it meets the rest. */
const MAX_WAITING = 1_000

/**
 * A client that shares its connection with all that ask for the same: on this page, or in this browser. To its user it is as
 * {@link createSSEClient}.
 *
 * It follows its group's feed, or, while it is behind that, a client of its own that polls until it has met the feed. Only its own
 * position decides, so that a late joiner, a hole in the feed and a new leader are the same case.
 */
export function createSharedClient(url: string, options: ResolvedClientOptions, { onMessage, onState }: SSEClientEvents, state = initialState(options.transports[0]!)): SSEClient {
  const { position: asked, transports, until } = options
  const ask = asked === undefined ? asked : `${asked}`
  let own = createOwn()
  let waiting: FeedEvent[] | undefined
  let life: AbortController | undefined

  const member: Member = {
    options,
    // Until there is a position of the server's own, the one that was asked for: members that ask for the same begin together.
    at: state.position ?? ask,
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
    if (!life) return
    life.abort()
    life = waiting = undefined
    own.stop()
    if (change) set(change)
  }

  /** What the followed client says of itself. */
  function adopt(change: Partial<SSEClientState>): void {
    if (change.status === 'closed') leave(change)
    // The feed's client connects anew; for this one it is a reconnect.
    else set(change.status === 'connecting' && state.status.endsWith('ed') ? { ...change, status: 'reconnecting' } : change)
  }

  function receive(message: SSEMessage, change: Partial<SSEClientState>): void {
    const current = life
    state = { ...state, ...change }
    void onMessage(message, state.position)
    // A callback may have stopped it, or connected it elsewhere.
    if (until && own.guard(() => until(message)) && life === current) leave({ status: 'closed', ended: true, error: undefined })
  }

  function take(event: FeedEvent): void {
    if (waiting) {
      if (waiting.push(event) > MAX_WAITING) waiting.shift()
      return meet()
    }
    const { position, error, status, peer } = event.state
    // Foreign IDs cannot be compared, nor can what follows them be asked for.
    const isNext = event.after === member.at || (position !== undefined && peer !== 'resumable')
    if (!isNext && !has(position)) {
      waiting = [event]
      own = createOwn()
      return own.connect()
    }
    if (isNext) member.at = position ?? event.after
    const next = {
      ...event.state,
      position: isNext ? position : state.position,
      gap: (isNext && event.gap) || state.gap,
      // What a callback of this one has thrown stays until the next connection.
      error: error ?? (status === state.status ? state.error : error),
    }
    if (isNext && event.message) receive(event.message, next)
    else adopt(next)
  }

  function has(position?: string): boolean {
    return isUpTo(position, member.at)
  }

  /** A client that reads what this one has missed. While it does, its state is this one's; errors of callbacks always are. */
  function createOwn(): SSEClient {
    const only = transports.includes('poll') ? 'poll' : 'stream'
    return createSSEClient(url, { ...options, transports: [only], until: undefined }, {
      onMessage(message, position) {
        member.at = position ?? member.at
        receive(message, { position, had: own.state.had, attempt: 0 })
        meet()
      },
      onState(change) {
        const { status, error } = change
        // Without a status, it is what a callback has thrown.
        if (!waiting && status) return
        // What was missed cannot be read: go on with what is new.
        if (status === 'closed' && [200, 406].includes(error?.statusCode as number)) {
          member.at = waiting![0]!.after
          return follow(0)
        }
        if (change.position) member.at = change.position
        adopt(change)
        meet()
      },
    }, { ...state, transport: only })
  }

  /** Whether what was read has come to where the feed stands, or stood when an event began to wait. */
  function meet(): void {
    if (!waiting) return
    const next = waiting.findIndex(event => event.after === member.at)
    // -1: of those that wait the last one says what the feed is like.
    if (next >= 0 || has(waiting.at(-1)!.state.position)) follow(next)
  }

  function follow(from: number): void {
    const events = waiting!.slice(from)
    const current = life
    waiting = undefined
    own.stop()
    for (const event of events) {
      if (life === current) take(event)
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
        member.at = ask
      }
      const { signal } = life = new AbortController()
      set({ ...state, status: options.pauseWhenHidden && isHidden() ? 'idle' : 'connecting', error: undefined, attempt: 0, ended: false })
      void joinGroup(url, member, signal)
    },
    pause() {
      if (isRepeatable(options, state)) leave({ status: 'idle', error: undefined })
    },
    reset() {
      leave()
      member.at = ask
      onState(state = initialState(transports[0]!))
    },
    stop() {
      leave({ status: 'closed', error: undefined })
    },
    guard: task => own.guard(task),
  }
}
