import type { SSEStats } from '../context/stats'

/** What the tab is sent, about once a second. */
export interface DevtoolsSnapshot {
  /** Epoch milliseconds, as all that ends in `At` here. */
  at: number
  stats: SSEStats
  connections: DevtoolsConnection[]
  /** The last ones that are over, the newest first. */
  closed: DevtoolsConnection[]
  channels: DevtoolsChannel[]
  /** What is new since the last snapshot of this tab, the oldest first. */
  log: DevtoolsLogItem[]
}

export interface DevtoolsConnection {
  id: number
  method: string
  /** With its query. */
  path: string
  channel?: string
  /** The last id that was sent. */
  position?: string
  openedAt: number
  messages: number
  bytes: number
  /** Its socket is full: it waits for its reader. */
  waiting: boolean
  /** Only of those that are over. */
  closedAt?: number
  reason?: string
  code?: string
}

export interface DevtoolsChannel {
  name: string
  /** Streams, waiting polls and `subscribe` of this process. */
  readers: number
  epoch: string
  lastOffset: number
  /** Messages kept. */
  messages: number
  /** `running`: a producer fills it. */
  state: 'open' | 'running' | 'ended' | 'failed'
}

export interface DevtoolsLogItem {
  at: number
  /** `message`: a connection or a channel got one; `control`: a control message on a connection; the others: hooks of that name. */
  kind: 'message' | 'control' | 'open' | 'close' | 'gap' | 'error'
  /** A channel's name, or a path. */
  where: string
  id?: string
  event?: string
  /** Data as JSON, or what happened, and not too much of it. */
  text: string
}
