import type { SSEPublicError } from '../../shared/errors'
import type { LogRetention } from '../options'
import type { ReadGate } from '../lib/read-gate'
import type { PackedData } from './packed-data'
import type { PresenceAnswer, PresenceRequest } from './presence-types'

/** One message in a log. */
export interface LogEntry {
  /** 1, 2, 3, … within an epoch, without holes. */
  offset: number
  event?: string
  /** JSON as text or as UTF-8. */
  data: PackedData
  /**
   * Distinguishes this message from any other with the same offset. A store that lost its newest messages (an asynchronous failover)
   * assigns their offsets again. Marks are only compared. A driver that cannot lose part of a log needs none.
   */
  mark?: string
}

/** One message to append. */
export interface LogAppend {
  event?: string
  /** JSON text. */
  data: string
  /** Makes a retry idempotent: while a message with this key is kept, an append with the same key returns that message's offset. */
  key?: string
}

/** A message to append whose JSON may be UTF-8 already. After the call, the bytes belong to the driver. */
export type PackedAppend = Omit<LogAppend, 'data'> & { data: PackedData }

/** End of a log: complete, or failed with `error`. */
export interface LogClosing {
  error?: SSEPublicError
}

export interface LogState {
  epoch: string
  /** Oldest offset kept; `last + 1` when no message is kept. */
  first: number
  /** Newest offset assigned; 0 before the first message. */
  last: number
  closing: LogClosing | null
  /** Mark of the newest message. */
  mark?: string
  /** Lease of a log that has not ended and has, or had, a producer. */
  lease?: LogLease
}

/**
 * Exclusive right of one producer, across all processes, to fill a log. It expires by the store's own clock unless it is renewed.
 *
 * A lost producer is recorded nowhere. Every read of a log whose lease has expired finds it failed with `PRODUCER_LOST`, from the same
 * moment on.
 */
export interface LogLease {
  /** Time until the lease expires, in milliseconds; 0 or less when no producer holds it. */
  leftMs: number
  /**
   * Time until the log counts as failed unless the lease is renewed or taken, in milliseconds: `leftMs`, plus another `leaseMs` with
   * `onLost: 'restart'`.
   */
  lostInMs: number
  /** The producer was requested to stop. */
  stopping: boolean
  /** Time since a process last reported a reader of the log, in milliseconds. */
  unreadMs: number
  /** The lease was acquired tentatively and not used yet: its holder may never have received the answer. */
  tentative?: boolean
}

/** Consequence of a lost producer: the log fails, or the next producer that acquires the lease continues it. */
export type LogOnLost = 'fail' | 'restart'

/** Request for the lease of a log. Repeating a request has no further effect. */
export type LeaseRequest
  /**
   * Takes the lease, if it is free and the log has not ended.
   * - `anew`: a log that has ended is deleted, and begins a new epoch.
   * - `epoch`: epoch of a log that begins with this request.
   * - `tentative`: a lease that expires, or is released, before it was renewed and before any append counts as never taken. The answer may
   *   have been lost.
   */
  = | { type: 'acquire', token: string, leaseMs: number, onLost: LogOnLost, anew?: boolean, epoch?: string, tentative?: boolean }
  /**
   * Extends the lease by `leaseMs`, unless it has expired. If the store has lost the lease along with the whole log, it is taken again. A
   * caller that knows that its lease has expired must not send this.
   */
    | { type: 'renew', token: string, leaseMs: number, onLost: LogOnLost }
  /**
   * Releases the lease of an unfinished log. With `onLost: 'restart'`, or if the lease was tentative and unused, another producer can
   * acquire it at once. Otherwise the log fails with `PRODUCER_LOST`.
   */
    | { type: 'release', token: string }
  /** Requests the producer to stop, and keeps others from restarting it. */
    | { type: 'stop' }
  /** Only reads the state, and begins no log. `reading`: records that the log has a reader. */
    | { type: 'look', reading?: boolean }

export interface LeaseAnswer {
  /** Whether `token` holds the lease. */
  held: boolean
  /** `undefined` if there is no log and the request began none. */
  state?: LogState
}

/** Identifies appends, so that a writer can repeat one whose answer was lost. One append at a time. */
export interface LogWriter {
  /** Unique to this writer; for a producer, the `token` of its lease. */
  id: string
  /**
   * Increases with each append. The same number, within a minute or while the lease is held, identifies the same append: it happens once.
   */
  number: number
  /** Whether to append only while the lease is held, and to reject with `LEASE_LOST` otherwise. */
  leased: boolean
}

/** Epoch and mark of a message that the caller has certainly seen. Never a client's claim. */
export interface LogSeen {
  epoch: string
  mark?: string
}

export interface LogPage extends LogState {
  /** Entries in offset order, without holes, from the larger of `after + 1` and `first`, up to `last` at most. */
  entries: LogEntry[]
}

export interface LogPageLimit {
  /** Maximum number of entries. With 0, the driver reads only the state of the log, which should be cheap. */
  messages: number
  /**
   * Bytes of data after which the page ends: the entry that reaches them is the last, so that a page has at least one. Ignored with
   * `messages: 0`.
   */
  bytes: number
}

/**
 * Notice from a driver to its subscribers.
 * - `append` may come late, twice, or never (a lost connection): the hub copes with that.
 * - `changed` means that the log must be read again, for any reason. A driver that may have missed notices while its connection was down
 *   must send it to every subscriber when it is connected again.
 */
export type LogNotice
  = | { type: 'append', epoch: string, entries: LogEntry[], /** Mark of the message before the first entry. */ follows?: string }
    | { type: 'changed' }

/**
 * Store of channels. The conformance suite in `test/drivers` defines what each method may and may not do. When the store cannot be reached,
 * every method rejects with `DRIVER_UNAVAILABLE` within a bounded time.
 */
export interface LogDriver {
  readonly name: string
  /** Interval at which readers should read the log without a notice, in milliseconds. Default: never. */
  readonly recheckMs?: number
  /**
   * Longest such interval, in milliseconds: while nothing changes, the interval doubles up to it. For a driver that sends `changed`
   * whenever it may have lost notices. Default: `recheckMs`.
   */
  readonly recheckMaxMs?: number
  /** Maximum time of an operation, in milliseconds. An asynchronous schema of a channel has as long. Default: 2000. */
  readonly timeoutMs?: number
  /**
   * Whether `append` also accepts a message's JSON as UTF-8 (`PackedAppend`). The driver owns those bytes, and may free them when it drops
   * the message. Default: JSON as text only.
   */
  readonly takesBytes?: boolean
  /** Gate at which background reads wait for their turn, for a driver that itself reads in the background. Default: a gate of the hub. */
  readonly gate?: Pick<ReadGate, 'run'>
  /**
   * Appends all of `entries`, in order and adjacent, or none. Resolves when they are kept. The fields in `retention.named` become the log's
   * own retention; `finish` does the same, and so does `lease` when it takes the lease. Rejects with `CHANNEL_ENDED` on an ended log, and
   * with `LEASE_LOST` for a producer that no longer holds its lease.
   */
  append(channel: string, entries: LogAppend[], retention: LogRetention, writer?: LogWriter): Promise<{ epoch: string, offsets: number[] }>
  /**
   * Ends a log. Resolves with `false` if it had ended before: the first closing stands. With the `token` of a lease, rejects with
   * `LEASE_LOST` unless that lease is held.
   */
  finish(channel: string, closing: LogClosing, retention: LogRetention, token?: string): Promise<boolean>
  /**
   * Handles a {@link LeaseRequest}. Subscribers receive `changed` when the lease is taken or released, or its producer is requested to
   * stop. A driver may have no leases: then `channel.run` and `resumable` reject with `NOT_SUPPORTED`, and everything else works.
   */
  lease?(channel: string, request: LeaseRequest, retention: LogRetention): Promise<LeaseAnswer>
  /**
   * Performs a {@link PresenceRequest}: changes the records of a channel's members, and appends the changes as messages. A log whose records
   * were lost begins a new epoch. A driver may have no presence: then `useSSEPresence` rejects with `NOT_SUPPORTED`.
   */
  presence?(channel: string, request: PresenceRequest, retention: LogRetention): Promise<PresenceAnswer>
  /**
   * Reads the kept entries after the offset `after`, and the state of the log. A log that does not exist begins, empty, so that a reader
   * can receive its epoch. `seen` states that the caller has certainly seen the message at `after`. A log that ends before it, or has
   * another message there, was rolled back, and must begin a new epoch.
   */
  read(channel: string, after: number, limit: LogPageLimit, seen?: LogSeen): Promise<LogPage>
  /** Subscribes to notices. Resolves, once every later append will be noticed, with a function that ends the subscription. */
  subscribe(channel: string, listener: (notice: LogNotice) => void): Promise<() => void>
  /** Deletes the log with its own retention, and revokes its lease. The next use of the channel begins a new epoch. */
  remove(channel: string): Promise<void>
  /** Releases all timers and connections. */
  close(): Promise<void>
}
