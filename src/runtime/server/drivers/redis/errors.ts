import { SSEError } from '../../../shared/errors'

/** What every method of the driver rejects with when Redis cannot do it now. */
export function unavailable(cause: unknown): SSEError {
  if (cause instanceof SSEError) return cause
  return new SSEError('DRIVER_UNAVAILABLE', 'Redis cannot be reached at the moment.', { statusCode: 503, cause: withoutArguments(cause) })
}

/**
 * The same error, fit for a log. ioredis hangs the command on it, with all arguments: the password of an `AUTH` that was refused, the
 * text of a script, messages that were published. Its name is enough. That of a cluster holds the error of its last node.
 */
export function withoutArguments(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { command, lastNodeError } = error as Error & { command?: { name?: unknown }, lastNodeError?: unknown }
  if (command) Object.assign(error, { command: { name: command.name } })
  withoutArguments(lastNodeError)
  return error
}

/** The same error with the reason behind it, unless it names one. */
export function withCause(error: unknown, cause: unknown): unknown {
  if (error instanceof Error && error.cause === undefined && cause !== undefined && cause !== error) error.cause = withoutArguments(cause)
  return error
}

/** An answer of Redis that is an error, with one of `codes`, if any are given. */
export function isReply(error: unknown, ...codes: string[]): error is Error {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return false
  const [code] = error.message.replace(/^ERR /, '').split(' ')
  return codes.length === 0 || codes.includes(code!)
}

/** Errors of our own scripts: an ordinary answer. */
const OWN = ['CHANNEL_ENDED', 'EXPIRED', 'LEASE_LOST']

/** Replies that say "not now": while it loads, during a failover, or while a slot moves. Nothing has been done. */
const TRANSIENT = ['LOADING', 'READONLY', 'MASTERDOWN', 'CLUSTERDOWN', 'TRYAGAIN', 'MOVED', 'ASK', 'UNBLOCKED', 'BUSY']

/** An error of our own scripts, and so an answer to what they were asked. */
export function isOwnReply(error: unknown): boolean {
  return isReply(error, ...OWN)
}

export function isTransient(error: unknown): boolean {
  return isReply(error, ...TRANSIENT)
}

/** A reply that will be the same the next time: no memory, no permission, another type of key. */
export function isRefusal(error: unknown): boolean {
  return isReply(error) && !isReply(error, ...OWN, ...TRANSIENT)
}
