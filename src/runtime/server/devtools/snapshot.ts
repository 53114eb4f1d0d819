import type { SSEStats } from '../context/stats'

/** Snapshot that the tab receives about once a second. */
export interface DevtoolsSnapshot {
  /** Epoch milliseconds, as are all fields that end in `At`. */
  at: number
  stats: SSEStats
  connections: DevtoolsConnection[]
  /** Most recently closed connections, the newest first. */
  closed: DevtoolsConnection[]
  channels: DevtoolsChannel[]
  presences: DevtoolsPresence[]
  /** Items since the last snapshot of this tab, the oldest first. */
  log: DevtoolsLogItem[]
}

export interface DevtoolsConnection {
  id: number
  method: string
  /** Path with its query. */
  path: string
  channel?: string
  /** Client key, if its route has one. */
  key?: string
  /** Last ID that was sent. */
  position?: string
  openedAt: number
  messages: number
  bytes: number
  /** Whether its socket is full, and it waits for its reader. */
  waiting: boolean
  /** Set only once the connection is closed. */
  closedAt?: number
  reason?: string
  code?: string
}

export interface DevtoolsChannel {
  name: string
  /** Streams, waiting polls and `subscribe` calls of this process. */
  readers: number
  epoch: string
  lastOffset: number
  /** Number of messages kept. */
  messages: number
  /** `running`: a producer fills it. */
  state: 'open' | 'running' | 'ended' | 'failed'
}

export interface DevtoolsPresence {
  name: string
  /** Number of members, on all instances. */
  count: number
  /** First members, with their data as JSON, shortened. Empty if there are too many to read. */
  members: { id: string, data?: string }[]
}

export interface DevtoolsLogItem {
  at: number
  /** `message`: a message of a connection or a channel; `control`: a control message on a connection; the others: hooks of that name. */
  kind: 'message' | 'control' | 'open' | 'close' | 'gap' | 'error'
  /** Name of a channel, or a path. */
  where: string
  id?: string
  event?: string
  /** Data as JSON, or a description of the event, shortened. */
  text: string
}
