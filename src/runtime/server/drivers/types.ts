import type { SSEPublicError } from '../../shared/errors'
import type { SSERetention } from '../options'
import type { PackedData } from './packed-data'

/** One message as a log keeps it. */
export interface LogEntry {
  /** 1, 2, 3, … within an epoch, without holes. */
  offset: number
  event?: string
  /** JSON text, or its UTF-8. */
  data: PackedData
  /**
   * Tells this message from any other that is ever given the same offset: a store that lost its newest messages (an
   * asynchronous failover) gives their offsets out again. Only compared. Drivers that cannot lose a part need none.
   */
  mark?: string
}

/** One message to append. */
export interface LogAppend {
  event?: string
  /** JSON text. */
  data: string
  /** Makes a retry idempotent: while a message with this key is kept, appending it again gives the offset it has. */
  key?: string
}

/** How a log ended: complete, or failed. */
export interface LogClosing {
  error?: SSEPublicError
}

export interface LogState {
  epoch: string
  /** The oldest offset kept; `last + 1` when nothing is. */
  first: number
  /** The newest offset given out; 0 when there was none yet. */
  last: number
  closing: LogClosing | null
  /** Of the newest message. */
  mark?: string
}

/** What a caller has certainly seen, which is never what a client claims: the message at an offset, by its mark. */
export interface LogSeen {
  epoch: string
  mark?: string
}

export interface LogPage extends LogState {
  /** In offset order, without holes, beginning at the larger of `after + 1` and `first`. */
  entries: LogEntry[]
}

export interface LogPageLimit {
  /** At most so many entries. */
  messages: number
  /** Stops behind the entry that reaches so many bytes of data, so that a page has at least one entry. */
  bytes: number
}

/**
 * What a driver tells its subscribers. `append` may come late, twice, or never (a lost connection), and the hub copes;
 * `changed` says that something happened which is not told here: read again. A driver that may have missed notices (a
 * connection that was away) must send one to every subscriber when it is back.
 */
export type LogNotice
  = | { type: 'append', epoch: string, entries: LogEntry[], /** Mark of the message before the first. */ follows?: string }
    | { type: 'changed' }

/**
 * What keeps channels. The conformance suite in `test/drivers` says what each method may and may not do.
 * When the store cannot be reached, every method rejects with `DRIVER_UNAVAILABLE` within a bounded time.
 */
export interface LogDriver {
  readonly name: string
  /** How often readers should look at the log although they were told of nothing, in milliseconds. Default: never. */
  readonly recheckMs?: number
  /**
   * Appends all of `entries`, in order and adjacent, or none. Resolves when they are kept.
   * Rejects with `CHANNEL_ENDED` on an ended log.
   */
  append(channel: string, entries: LogAppend[], retention: SSERetention): Promise<{ epoch: string, offsets: number[] }>
  /** Ends a log. Resolves with `false` when it had ended before; the first ending stands. */
  finish(channel: string, closing: LogClosing, retention: SSERetention): Promise<boolean>
  /** A log that does not exist begins, empty, so that its epoch can be given to a reader. */
  state(channel: string): Promise<LogState>
  /**
   * The entries behind `after` that are kept. With `seen` the caller says that it has certainly seen the message at `after`:
   * a log that ends before it, or has another one there, has gone back and must begin a new epoch.
   */
  read(channel: string, after: number, limit: LogPageLimit, seen?: LogSeen): Promise<LogPage>
  /** Resolves when every later append will be noticed, with what ends the subscription. */
  subscribe(channel: string, listener: (notice: LogNotice) => void): Promise<() => void>
  /** Forgets the log. What comes next begins a new epoch. */
  remove(channel: string): Promise<void>
  /** Releases everything: timers, connections. */
  close(): Promise<void>
}
