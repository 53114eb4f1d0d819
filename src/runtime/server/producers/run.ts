import type { LogOnLost } from '../drivers/types'
import type { KeptRequest } from '../lib/platform/contract'
import type { SSEPipeSource } from './pump'

/** State of a run, passed to its producer. */
export interface SSERun {
  /** Aborted when the producer must stop: after `channel.stop()`, a lost lease, or a shutdown. Pass it to `fetch`. */
  readonly signal: AbortSignal
  /** Position of the end of the channel, before this producer's first message. */
  readonly position: string
  /** Number of messages that the channel has had: 0, unless messages were published before, or an earlier producer was lost. */
  readonly offset: number
}

/** Returns the source whose items are published, or a promise of it. */
export type SSEProducer<Item = unknown> = (run: SSERun) => SSEPipeSource<Item> | Promise<SSEPipeSource<Item>>

export interface SSERunOptions {
  /**
   * On a channel that has ended: `attach` starts nothing, and readers receive the kept messages and the end; `restart` deletes the
   * messages, and begins a new epoch. @default 'attach'
   */
  ifEnded?: 'attach' | 'restart'
  /**
   * Reaction to the loss of the producer's process. `fail` ends the channel with `PRODUCER_LOST`. With `restart`, any process that has
   * called `run` starts its own producer, which receives the end of the channel as its `position`. @default 'fail'
   */
  onLost?: LogOnLost
  /** Current request. Its `waitUntil` keeps the producer alive on platforms that freeze a process once it has responded. */
  event?: KeptRequest
}

/** Options of `run`, and those that only `resumable` sets. */
export interface RunOptions extends SSERunOptions {
  /** See `LeaseInit`. */
  unreadMs?: number | false
  /** Epoch of a log that begins with this run. */
  epoch?: string
}
