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
  /** Of a log that has not ended and has, or had, a producer. */
  lease?: LogLease
}

/**
 * That one producer, and no other anywhere, may fill a log. By the store's own clock, and only as long as it is renewed.
 *
 * What is lost with its holder is not written by anybody: whoever looks at a log whose lease is over finds it failed with
 * `PRODUCER_LOST`, and so does everybody at the same moment.
 */
export interface LogLease {
  /** How long it is still held, in milliseconds; 0 or less: by nobody. */
  leftMs: number
  /** How long until the log counts as failed, unless the lease is renewed or taken: `leftMs`, with `onLost: 'restart'` once more its time. */
  lostInMs: number
  /** Somebody has asked the producer to stop. */
  stopping: boolean
  /** For how long nobody has said that the log is read, in milliseconds. */
  unreadMs: number
}

/** What happens to a log whose producer is lost: it fails, or the next one who asks goes on with it. */
export type LogOnLost = 'fail' | 'restart'

/** What is asked about the lease of a log. Each may be asked twice, and is done once. */
export type LeaseRequest
  /** Takes it, where nobody has it, and the log has not ended; or, with `anew`, where it has: it begins a new epoch then. */
  = | { type: 'acquire', token: string, leaseMs: number, onLost: LogOnLost, anew?: boolean, /** Of a log that begins with this. */ epoch?: string }
  /**
   * Holds it for another `leaseMs`, unless it is lost. Where the store has lost it, and all that it knew of the log, it is taken
   * again: so nobody asks who knows that the time is up.
   */
    | { type: 'renew', token: string, leaseMs: number, onLost: LogOnLost }
  /** Gives it back, unfinished: the next one who asks has it. */
    | { type: 'release', token: string }
  /** Asks the producer to stop, and nobody to restart it. */
    | { type: 'stop' }
  /** Only looks; `reading` says that somebody reads. Begins no log. */
    | { type: 'look', reading?: boolean }

export interface LeaseAnswer {
  /** Whoever has the `token` holds the lease. */
  held: boolean
  /** `undefined` where there is no log, and none was begun. */
  state?: LogState
}

/** Who appends, for one who must know what became of an append. One append at a time. */
export interface LogWriter {
  /** Unlike any other writer's; of a producer its lease's `token`. */
  id: string
  /** Goes up with each append. The same one again, within a minute, or as long as its lease is held, is the same append: it is done once. */
  number: number
  /** Only while the lease is held: `LEASE_LOST` otherwise. */
  leased: boolean
}

/** What a caller has certainly seen, which is never what a client claims: the message at an offset, by its mark. */
export interface LogSeen {
  epoch: string
  mark?: string
}

export interface LogPage extends LogState {
  /** In offset order, without holes, beginning at the larger of `after + 1` and `first`, and none beyond `last`. */
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
   * Rejects with `CHANNEL_ENDED` on an ended log, and with `LEASE_LOST` for a producer that may not append any more.
   */
  append(channel: string, entries: LogAppend[], retention: SSERetention, writer?: LogWriter): Promise<{ epoch: string, offsets: number[] }>
  /**
   * Ends a log. Resolves with `false` when it had ended before; the first ending stands. With the `token` of a lease only
   * while that is held: `LEASE_LOST` otherwise.
   */
  finish(channel: string, closing: LogClosing, retention: SSERetention, token?: string): Promise<boolean>
  /** See {@link LeaseRequest}. What changes who may fill the log, or should stop, is noticed as `changed`. */
  lease(channel: string, request: LeaseRequest, retention: SSERetention): Promise<LeaseAnswer>
  /** A log that does not exist begins, empty, so that its epoch can be given to a reader. */
  state(channel: string): Promise<LogState>
  /**
   * The entries behind `after` that are kept. With `seen` the caller says that it has certainly seen the message at `after`:
   * a log that ends before it, or has another one there, has gone back and must begin a new epoch.
   */
  read(channel: string, after: number, limit: LogPageLimit, seen?: LogSeen): Promise<LogPage>
  /** Resolves when every later append will be noticed, with what ends the subscription. */
  subscribe(channel: string, listener: (notice: LogNotice) => void): Promise<() => void>
  /** Forgets the log, and takes the lease from who has it. What comes next begins a new epoch. */
  remove(channel: string): Promise<void>
  /** Releases everything: timers, connections. */
  close(): Promise<void>
}
