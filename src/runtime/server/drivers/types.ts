import type { SSEPublicError } from '../../shared/errors'
import type { LogRetention } from '../options'
import type { ReadGate } from '../lib/read-gate'
import type { PackedData } from './packed-data'

/** One message as a log keeps it. */
export interface LogEntry {
  /** 1, 2, 3, … within an epoch, without holes. */
  offset: number
  event?: string
  /** JSON text, or its UTF-8. */
  data: PackedData
  /**
   * Tells this message from any other that ever gets the same offset: a store that lost its newest messages (an
   * asynchronous failover) gives their offsets out again. Only ever compared. A driver that cannot lose part of a log needs none.
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

/** A message to append whose JSON may be UTF-8 already. The bytes belong to the driver from then on. */
export type PackedAppend = Omit<LogAppend, 'data'> & { data: PackedData }

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
  /** The newest message's. */
  mark?: string
  /** Where the log has not ended and has, or had, a producer. */
  lease?: LogLease
}

/**
 * The right of one producer, and no other anywhere, to fill a log. It runs out by the store's own clock unless it is renewed.
 *
 * Nobody writes down that its holder was lost: whoever looks at a log whose lease has run out finds it failed with `PRODUCER_LOST`,
 * from the same moment as everybody else.
 */
export interface LogLease {
  /** How long it is still held, in milliseconds; 0 or less when nobody holds it. */
  leftMs: number
  /** How long until the log counts as failed, unless the lease is renewed or taken, in milliseconds: `leftMs`, and with `onLost: 'restart'` another `leaseMs`. */
  lostInMs: number
  /** Somebody has asked the producer to stop. */
  stopping: boolean
  /** How long ago somebody last said that the log is being read, in milliseconds. */
  unreadMs: number
  /** Its holder asked for it tentatively, and has not used it yet: it may never have received the answer. */
  tentative?: boolean
}

/** What happens to a log whose producer is lost: it fails, or the next producer that asks goes on with it. */
export type LogOnLost = 'fail' | 'restart'

/** A request about the lease of a log. Asking twice does the same as asking once. */
export type LeaseRequest
  /**
   * Takes the lease, if nobody has it and the log has not ended. With `anew`, a log that has ended is forgotten, and begins a new epoch.
   * `epoch` is that of a log that begins with this. With `tentative`, a lease that runs out, or is given back, before it was renewed and
   * before anything was appended counts as never taken: the answer may have been lost.
   */
  = | { type: 'acquire', token: string, leaseMs: number, onLost: LogOnLost, anew?: boolean, epoch?: string, tentative?: boolean }
  /**
   * Holds it for another `leaseMs`, unless it has run out. Where the store has lost the lease along with the whole log, it is taken
   * again; so whoever knows that its time is up must not ask.
   */
    | { type: 'renew', token: string, leaseMs: number, onLost: LogOnLost }
  /** Gives it back with the log unfinished: the next producer that asks gets it. */
    | { type: 'release', token: string }
  /** Asks the producer to stop, and keeps others from restarting it. */
    | { type: 'stop' }
  /** Only looks, and begins no log. `reading`: notes that somebody reads. */
    | { type: 'look', reading?: boolean }

export interface LeaseAnswer {
  /** Whether the `token` holds the lease. */
  held: boolean
  /** `undefined` where there is no log, and none was begun. */
  state?: LogState
}

/** Identifies appends, for a writer that must be able to repeat one whose answer was lost. One append at a time. */
export interface LogWriter {
  /** Unlike any other writer's; of a producer its lease's `token`. */
  id: string
  /** Goes up with each append. The same number again, within a minute or while the lease is held, is the same append: it is done once. */
  number: number
  /** Appends only while the lease is held, and rejects with `LEASE_LOST` otherwise. */
  leased: boolean
}

/** A message that the caller has certainly seen, by epoch and mark. Never what a client claims. */
export interface LogSeen {
  epoch: string
  mark?: string
}

export interface LogPage extends LogState {
  /** In offset order, without holes, beginning at the larger of `after + 1` and `first`, and none beyond `last`. */
  entries: LogEntry[]
}

export interface LogPageLimit {
  /** The most entries. With 0, only the state of the log is read, which should be cheap. */
  messages: number
  /** The page ends with the entry that reaches this many bytes of data, so that it has at least one. With `messages: 0` it means nothing. */
  bytes: number
}

/**
 * What a driver tells its subscribers. `append` may come late, twice, or never (a lost connection): the hub copes. `changed`
 * means: read again, for whatever reason. A driver that may have missed notices, since its connection was away, must send it to every
 * subscriber when it is back.
 */
export type LogNotice
  = | { type: 'append', epoch: string, entries: LogEntry[], /** Mark of the message before the first of them. */ follows?: string }
    | { type: 'changed' }

/**
 * What keeps channels. The conformance suite in `test/drivers` says what each method may and may not do.
 * When the store cannot be reached, every method rejects with `DRIVER_UNAVAILABLE` within a bounded time.
 */
export interface LogDriver {
  readonly name: string
  /** How often readers should read the log without having got a notice, in milliseconds. Default: never. */
  readonly recheckMs?: number
  /**
   * How rarely readers may do so while nothing changes, in milliseconds: the interval doubles up to this. For a driver whose notices
   * are lost only when it sends `changed` later. Default: `recheckMs`.
   */
  readonly recheckMaxMs?: number
  /**
   * `append` also accepts a message's JSON as UTF-8 (`PackedAppend`), and keeps those bytes as its own: it may free them when the message
   * is dropped. Default: JSON as text only.
   */
  readonly takesBytes?: boolean
  /** Where background reads wait for their turn, for a driver that reads in the background itself. Default: one of the hub's own. */
  readonly gate?: Pick<ReadGate, 'run'>
  /**
   * Appends all of `entries`, in order and adjacent, or none. Resolves when they are kept.
   * What `retention.named` has becomes the log's own retention, as with `finish`, and with `lease` where that takes the lease.
   * Rejects with `CHANNEL_ENDED` on an ended log, and with `LEASE_LOST` for a producer that no longer holds its lease.
   */
  append(channel: string, entries: LogAppend[], retention: LogRetention, writer?: LogWriter): Promise<{ epoch: string, offsets: number[] }>
  /**
   * Ends a log. Resolves with `false` when it had ended before; the first ending stands. With the `token` of a lease, rejects with
   * `LEASE_LOST` unless that is held.
   */
  finish(channel: string, closing: LogClosing, retention: LogRetention, token?: string): Promise<boolean>
  /**
   * See {@link LeaseRequest}. Subscribers get `changed` when the lease is taken or given back, or its producer is asked to stop. A driver may
   * have no leases: `channel.run` and `resumable` reject with `NOT_SUPPORTED` then, and all else works.
   */
  lease?(channel: string, request: LeaseRequest, retention: LogRetention): Promise<LeaseAnswer>
  /**
   * The entries after the offset `after` that are kept, and the state of the log. A log that does not exist begins, empty, so that a
   * reader can be given its epoch. With `seen` the caller says that it has certainly seen the message at
   * `after`: a log that ends before that, or has another message there, has gone back and must begin a new epoch.
   */
  read(channel: string, after: number, limit: LogPageLimit, seen?: LogSeen): Promise<LogPage>
  /** Resolves once every later append will be noticed, with a function that ends the subscription. */
  subscribe(channel: string, listener: (notice: LogNotice) => void): Promise<() => void>
  /** Forgets the log with its own retention, and takes the lease from whoever has it. What comes next begins a new epoch. */
  remove(channel: string): Promise<void>
  /** Releases everything: timers, connections. */
  close(): Promise<void>
}
