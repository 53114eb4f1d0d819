import type { SSEGap } from '../../shared/protocol'
import type { SSEMessage } from '../../shared/types'
import { createSSEClient, initialState } from '../client'
import type { ResolvedClientOptions } from '../options'
import { fresh, isRepeatable } from '../request'
import { interrupted } from '../response'
import type { SSEClientState } from '../types'
import { canElect, elect } from './election'
import { keyOf } from './key'

/** One step of a group's feed. Each says where it begins, so that a hole is seen. */
export interface FeedEvent {
  /** Where the feed stood before: a position, or what was asked for while there was none. */
  after: string | undefined
  /** The feeding client's. Its position is where the feed stands now. */
  state: SSEClientState
  message?: SSEMessage
  /** What was missed between `after` and now. */
  gap?: SSEGap
}

export interface Member {
  readonly options: ResolvedClientOptions
  /** Where it stands: its position, or what it asks for while it has none. */
  at: string | undefined
  readonly state: SSEClientState
  take(event: FeedEvent): void
}

interface Group {
  join(member: Member, life: AbortSignal): void
}

const groups = new Map<string, Group>()

/** Joins all that ask for the same, until the signal is aborted. The last to leave closes the connection. */
export async function joinGroup(url: string, member: Member, life: AbortSignal): Promise<void> {
  const inBrowser = member.options.share === 'browser' && canElect()
  const key = await keyOf(url, member.options, inBrowser, life)
  if (life.aborted) return
  let group = groups.get(key)
  if (!group) groups.set(key, group = createGroup(url, inBrowser && key, () => groups.delete(key)))
  group.join(member, life)
}

/** The members with one key in this page. `name`: what the group is called among the browser's tabs, if it is shared with them. */
function createGroup(url: string, name: string | false, onEnd: () => void): Group {
  const members = new Set<Member>()
  const over = new AbortController()
  let now: FeedEvent | undefined
  let hurry = () => {}

  const first = () => members.values().next().value!
  // As one client decides it for itself.
  const canGoOn = () => isRepeatable(first().options, now?.state ?? {})

  function share(event: FeedEvent): void {
    now = { after: event.state.position ?? event.after, state: event.state }
    // What a member does with it may make others join or leave.
    for (const member of [...members]) if (members.has(member)) member.take(event)
    // Whoever joins later asks the server anew, which knows what they have missed.
    if (event.state.status === 'closed') end()
  }

  function end(): void {
    if (over.signal.aborted) return
    over.abort()
    onEnd()
  }

  /** Runs the client that feeds the group, from where one of its members stands. */
  function lead(signal: AbortSignal, tell: (event: FeedEvent) => void): void {
    if (now && !canGoOn()) return tell({ ...now, state: { ...now.state, status: 'closed', error: interrupted() } })
    const { options, state: { position, peer } } = first()
    let { at } = first()
    let told: SSEClientState | undefined

    function emit(more?: Partial<FeedEvent>): void {
      const { state } = client
      if (signal.aborted || (!more && state === told)) return
      told = state
      const after = at
      at = state.position ?? at
      tell({ after, state, ...more })
    }

    const client = createSSEClient(url, {
      ...options,
      until: undefined,
      // With the election, if there is one.
      pauseWhenHidden: !name && options.pauseWhenHidden,
      // Options of a member that is still there, at each attempt.
      query: () => fresh(first().options.query),
      headers: () => fresh(first().options.headers),
      body: () => fresh(first().options.body),
    } as ResolvedClientOptions, {
      onMessage: message => emit({ message }),
      onState({ gap, status }) {
        if (gap && !status) emit({ gap })
        // A position comes right before its message, and they are one step.
        else queueMicrotask(emit)
      },
    }, { ...initialState(options.transports[0]!), position, peer })
    signal.addEventListener('abort', () => client.stop())
    hurry = () => client.state.status === 'reconnecting' && client.connect()
    client.connect()
  }

  return {
    join(member, life) {
      life.addEventListener('abort', () => {
        members.delete(member)
        if (!members.size) end()
      })
      if (members.add(member).size > 1) {
        hurry()
        if (now) member.take(now)
      }
      else if (name) {
        elect(name, member.options.pauseWhenHidden, over.signal, { lead, share, now: () => now, isRepeatable: canGoOn })
      }
      else {
        lead(over.signal, share)
      }
    },
  }
}
