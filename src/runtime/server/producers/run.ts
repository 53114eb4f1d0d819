import type { LogOnLost } from '../drivers/types'
import type { KeptRequest } from '../lib/platform/contract'
import type { SSEPipeSource } from './pump'

/** What a producer is given. */
export interface SSERun {
  /** Aborted when it must stop: `channel.stop()`, a lease that was lost, a shutdown. Hand it to `fetch`. */
  readonly signal: AbortSignal
  /** Where the channel ends, before the first message of this producer. */
  readonly position: string
  /** How many messages the channel has had already: 0 unless something was published, or an earlier producer was lost on the way. */
  readonly offset: number
}

/** Returns the source whose items are published, or a promise of it. */
export type SSEProducer<Item = unknown> = (run: SSERun) => SSEPipeSource<Item> | Promise<SSEPipeSource<Item>>

export interface SSERunOptions {
  /** On a channel that has ended: `attach` starts nothing, and readers get what is kept and its end; `restart` forgets it, and begins a new epoch. @default 'attach' */
  ifEnded?: 'attach' | 'restart'
  /**
   * What happens when the producer's process is gone: `fail` ends the channel with `PRODUCER_LOST`; with `restart`, any process that
   * has called `run` starts its own producer, and tells it where the channel ends. @default 'fail'
   */
  onLost?: LogOnLost
  /** The current request. Its `waitUntil` keeps the producer alive on platforms that freeze a process once it has responded. */
  event?: KeptRequest
}

/** With what only `resumable` asks for. */
export interface RunOptions extends SSERunOptions {
  /** See `LeaseInit`. */
  unreadMs?: number | false
  /** Of the log that begins with this. */
  epoch?: string
}
