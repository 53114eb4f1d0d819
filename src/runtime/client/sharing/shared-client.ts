import { parsePosition } from '../../shared/position'
import type { SSEMessage } from '../../shared/types'
import type { SSEClient, SSEClientEvents } from '../client'
import { createSSEClient, initialState } from '../client'
import type { ResolvedClientOptions } from '../options'
import { isHidden, watchPage } from '../page-life'
import type { SSEClientState } from '../types'
import type { FeedEvent, Member } from './group'
import { joinGroup } from './group'

/** Live events that wait for a member that catches up; beyond, the oldest go, and it reads on until it meets the rest. */
const MAX_WAITING = 1_000

/**
 * A client that shares its connection with all that ask for the same: on this page, or in this browser. As
 * {@link createSSEClient} to those who use it.
 *
 * It follows one of two: the feed of its group, or, while it is behind that, a client of its own that polls until it has met the feed. What
 * decides is its own position, so that a late joiner, a hole, and the next leader are one and the same case.
 */
export function createSharedClient(url: string, options: ResolvedClientOptions, { onMessage, onState }: SSEClientEvents, state = initialState(options.transports[0]!)): SSEClient {
  const { method, position: asked, transports, until, pauseWhenHidden } = options
  let own = createOwn()
  let waiting: FeedEvent[] | undefined
  let life: AbortController | undefined
  /** What listens to the page, from `connect()` until the end. */
  let page: AbortController | undefined
  /** Paused because the page is hidden. */
  let asleep = false

  const member: Member = {
    options,
    // Until there is a position of the server's own, the one that was asked for: members that ask for the same begin together.
    at: state.position ?? ask(),
    get position() {
      return state.position
    },
    take,
  }

  function ask(): string | undefined {
    return asked === undefined ? undefined : String(asked)
  }

  function set(change: Partial<SSEClientState>): void {
    state = { ...state, ...change }
    onState(change)
  }

  function end(): void {
    life?.abort()
    life = waiting = undefined
    asleep = false
    own.stop()
  }

  function close(change: Partial<SSEClientState>): void {
    end()
    page?.abort()
    page = undefined
    set({ status: 'closed', ...change })
  }

  function begin(): void {
    end()
    const fresh = { ...state, error: undefined, attempt: 0, ended: false }
    if (pauseWhenHidden && isHidden()) {
      asleep = true
      return set({ ...fresh, status: 'idle' })
    }
    const { signal } = life = new AbortController()
    set({ ...fresh, status: 'connecting' })
    void joinGroup(url, member, signal)
  }

  /** Whether it was possible. */
  function suspend(): boolean {
    if (!life || (method !== 'GET' && state.position === undefined)) return false
    end()
    set({ status: 'idle', error: undefined })
    return true
  }

  /** What the followed client says of itself. */
  function adopt(change: Partial<SSEClientState>): void {
    if (change.status === 'closed') return close(change)
    // Another begins; this one goes on.
    set(change.status === 'connecting' && ['connected', 'reconnecting'].includes(state.status) ? { ...change, status: 'reconnecting' } : change)
  }

  function receive(message: SSEMessage): void {
    const current = life
    void onMessage(message)
    // A callback may have stopped it, or connected it elsewhere.
    if (until && own.guard(() => until(message)) && life === current) close({ ended: true, error: undefined })
  }

  function take(event: FeedEvent): void {
    if (waiting) {
      if (waiting.push(event) > MAX_WAITING) waiting.shift()
      return meet()
    }
    const { position } = event.state
    // Ids that are not ours cannot be compared, nor what is behind them be asked for.
    const isNext = event.after === member.at || (position !== undefined && !parsePosition(position))
    if (!isNext && !has(position)) return catchUp(event)
    if (isNext) member.at = position ?? event.after
    const { error, status } = event.state
    const current = life
    adopt({
      ...event.state,
      position: isNext ? position : state.position,
      gap: (isNext && event.gap) || state.gap,
      // What a callback of this one has thrown stays until the next connection.
      error: error ?? (status === state.status ? state.error : undefined),
    })
    if (isNext && event.message && life === current) receive(event.message)
  }

  function has(position = ''): boolean {
    const mine = parsePosition(member.at ?? '')
    const other = parsePosition(position)
    return !!mine && mine.epoch === other?.epoch && mine.offset >= other.offset
  }

  function catchUp(event: FeedEvent): void {
    waiting = [event]
    own = createOwn()
    own.connect()
  }

  function createOwn(): SSEClient {
    const only = transports.includes('poll') ? 'poll' as const : 'stream'
    return createSSEClient(url, { ...options, transports: [only], until: undefined, pauseWhenHidden: false }, {
      onMessage: receive,
      onState(change) {
        // Without a status, it is what a callback has thrown.
        if (!waiting && change.status) return
        // No way to read what is behind: only what is new.
        if (change.status === 'closed' && [200, 406].includes(change.error?.statusCode as number)) {
          member.at = waiting![0]!.after
          return follow(0)
        }
        if ('position' in change) {
          member.at = change.position ?? member.at
          // Behind the message that it is the position of.
          queueMicrotask(meet)
        }
        adopt(change)
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
    waiting = undefined
    own.stop()
    const current = life
    for (const event of events) {
      if (life === current) take(event)
    }
  }

  return {
    get state() {
      return state
    },
    connect(to) {
      end()
      if (to !== undefined) {
        url = to
        state = initialState(transports[0]!)
        member.at = ask()
      }
      if (!page) {
        page = new AbortController()
        if (pauseWhenHidden) watchPage(page.signal, (event) => {
          if (event === 'hidden') asleep ||= suspend()
          else if (event === 'wake' && asleep) begin()
        })
      }
      begin()
    },
    pause() {
      asleep = false
      suspend()
    },
    stop() {
      if (page) close({ error: undefined })
    },
    guard: task => own.guard(task),
  }
}
