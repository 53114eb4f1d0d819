import { SSEError } from '../../shared/errors'
import { createSSEClient, initialState } from '../client'
import type { ResolvedClientOptions } from '../host'
import { isHidden, watchPage } from '../page-life'
import { fresh, isRepeatable } from '../request'
import { clientError, interrupted } from '../response'
import type { SSEClientState } from '../types'
import type { FeedEvent, elect, lockName } from './election'
import { canElect, sharingKey } from './key'
import { reopened } from './view'

/** Client that shares a connection. */
export interface Member {
  readonly options: ResolvedClientOptions
  /** Its position, or the requested one while it has none. */
  at: string | undefined
  readonly state: SSEClientState
  /** The route does not have its channel at the moment. It follows only while others do. */
  readonly isDormant: boolean
  /** A position of this member, with its key and the end of the other channels if it follows one channel. */
  whole(position: string | undefined): string | undefined
  take(event: FeedEvent): void | Promise<void>
}

interface Group {
  join(member: Member, session: AbortSignal): void
}

const groups = new Map<string, Group>()

/**
 * Joins the group of all equal requests until the signal is aborted. The connection closes when the last member leaves. Without `share`, the
 * member has a group of its own, from which it takes one channel.
 */
export async function joinGroup(url: string, member: Member, session: AbortSignal): Promise<void> {
  if (!isPublic(member.options)) return createGroup(url, '', undefined, () => {}).join(member, session)
  const election = member.options.share === 'browser' && canElect() ? await loadElection() : undefined
  const text = await sharingKey(url, member.options, !!election, session)
  const key = election ? await election.lockName(text) : text
  if (session.aborted) return
  let group = groups.get(key)
  if (!group) groups.set(key, group = createGroup(url, key, election?.elect, () => groups.delete(key)))
  group.join(member, session)
}

function isPublic({ share }: ResolvedClientOptions): boolean {
  return share === 'page' || share === 'browser'
}

/** Error that arrived from another tab as a plain object. */
function revive<T extends SSEError | boolean | undefined>(error: T): T {
  return error && typeof error === 'object' && !(error instanceof SSEError) ? new SSEError((error as SSEError).code, (error as SSEError).message, error) as T : error
}

/** Loads the code for `share: 'browser'`. If that fails, the connection is shared within the page, and the next call tries again. */
async function loadElection(): Promise<{ elect: typeof elect, lockName: typeof lockName } | undefined> {
  try {
    return await import('./election')
  }
  catch (cause) {
    console.error('[nuxt-sse]', clientError('SHARING_FAILED', 'The code for `share: \'browser\'` failed to load: the connection is shared within this page only', cause))
  }
}

/** Group of the members with one key in this page. With `electLeader`, it is part of a group of tabs, whose name is the key. */
function createGroup(url: string, key: string, electLeader: typeof elect | undefined, onEnd: () => void): Group {
  const members = new Set<Member>()
  const ended = new AbortController()
  let latest: FeedEvent | undefined
  let retryNow = () => {}

  const first = () => [...members].find(({ isDormant }) => !isDormant)!
  // By the rule of a single client.
  const canResume = () => isRepeatable(first().options, latest?.state ?? {})

  function share(event: FeedEvent): void | Promise<void> {
    const { state } = event
    const { channels } = state
    state.error = revive(state.error)
    for (const key in channels) channels[key] = revive(channels[key]!)
    let busy: void | Promise<void> = undefined
    latest = { after: event.state.position ?? event.after, state: event.state }
    // A callback of a member may make others join or leave.
    for (const member of [...members]) if (members.has(member)) busy = member.take(event) ?? busy
    if (members.size && !first()) end()
    // A later member starts a new group: its request to the server finds what it has missed.
    if (event.state.status === 'closed') end()
    return busy
  }

  function end(): void {
    if (ended.signal.aborted) return
    ended.abort()
    onEnd()
  }

  /** Runs the client that feeds the group, from the position of its first member. */
  function lead(signal: AbortSignal, publish: (event: FeedEvent) => void | Promise<void>): void {
    if (latest && !canResume()) return void publish({ ...latest, state: { ...latest.state, status: 'closed', error: interrupted() } })
    const { options, state: { position: own, peer, had, channels }, whole } = first()
    // Of several channels, the first member may follow only one.
    const position = latest?.state.channels ? latest.state.position : own && whole(own)
    const requested = whole(options.position === undefined ? undefined : `${options.position}`)
    let at = position ?? requested

    function emit(more?: Partial<FeedEvent>): void | Promise<void> {
      if (signal.aborted) return
      const { state } = client
      const after = at
      at = state.position ?? at
      return publish({ after, state, ...more })
    }

    const client = createSSEClient(url, {
      ...options,
      position: requested,
      until: undefined,
      // Each member loads for itself.
      readState: undefined,
      loadState: undefined,
      // In an election, `campaign` pauses instead.
      pauseWhenHidden: !electLeader && options.pauseWhenHidden,
      // Each attempt reads the options of a member that has not left.
      query: () => fresh(first().options.query),
      headers: () => fresh(first().options.headers),
      body: () => fresh(first().options.body),
    } as ResolvedClientOptions, {
      onMessage: message => emit({ message }),
      // A change with a status may repeat the whole state, with a gap that was reported before.
      onState: ({ gap, status }) => emit(status ? {} : { gap }),
    }, { ...initialState(options.transports[0]!), position, peer, had, channels: reopened(channels) })
    signal.addEventListener('abort', () => client.stop())
    retryNow = () => client.state.status === 'reconnecting' && client.connect()
    client.connect()
  }

  /** Takes part in the election, except while the page is frozen, or pauses because it is hidden. */
  function campaign(electLeader: typeof elect, pauseWhenHidden: boolean | undefined): void {
    const candidate = electLeader(key, ended.signal, { lead, share, latest: () => latest, isRepeatable: canResume, isEligible: () => !(pauseWhenHidden && isHidden()) })
    // Registered before any client listens, so that the candidate steps down before the client reports that it sleeps.
    watchPage(ended.signal, (event) => {
      if (event === 'sleep' || (pauseWhenHidden && event === 'hidden')) {
        if (!canResume()) return
        candidate.leave()
        if (latest) share({ ...latest, state: { ...latest.state, status: 'idle', error: undefined } })
      }
      else if (event === 'wake') {
        candidate.enter()
      }
    })
    candidate.enter()
  }

  return {
    join(member, session) {
      session.addEventListener('abort', () => {
        members.delete(member)
        if (!first()) end()
      })
      if (members.add(member).size > 1) {
        retryNow()
        if (latest) member.take(latest)
      }
      else if (electLeader) {
        campaign(electLeader, member.options.pauseWhenHidden)
      }
      else {
        lead(ended.signal, share)
      }
    },
  }
}
