import { SSEError } from '../../../shared/errors'

/** Error of every method of the driver when Redis cannot serve it now. */
export function unavailable(cause: unknown): SSEError {
  if (cause instanceof SSEError) return cause
  return new SSEError('DRIVER_UNAVAILABLE', 'Redis cannot be reached at the moment.', { statusCode: 503, cause: withoutArguments(cause) })
}

/**
 * Removes the arguments of the command from an error of ioredis, so that it can be logged. They contain the password of a refused `AUTH`,
 * the text of a script, or published messages. The command's name stays. An error of a cluster contains the error of its last node, which
 * is treated alike.
 */
export function withoutArguments(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { command, lastNodeError } = error as Error & { command?: { name?: unknown }, lastNodeError?: unknown }
  if (command) Object.assign(error, { command: { name: command.name } })
  withoutArguments(lastNodeError)
  return error
}

/** Sets the `cause` of an error, unless it has one. */
export function withCause(error: unknown, cause: unknown): unknown {
  if (error instanceof Error && error.cause === undefined && cause !== undefined && cause !== error) error.cause = withoutArguments(cause)
  return error
}

/** Whether `error` is an error reply of Redis, with one of `codes` if any are given. */
export function isReply(error: unknown, ...codes: string[]): error is Error {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return false
  const [code] = error.message.replace(/^ERR /, '').split(' ')
  return codes.length === 0 || codes.includes(code!)
}

/** Errors of this package's own scripts: ordinary answers. */
const OWN = ['CHANNEL_ENDED', 'EXPIRED', 'LEASE_LOST']

/** Error replies that mean "not now": Redis is loading, a failover is in progress, or a slot is moving. The command was not run. */
const TRANSIENT = ['LOADING', 'READONLY', 'MASTERDOWN', 'CLUSTERDOWN', 'TRYAGAIN', 'MOVED', 'ASK', 'UNBLOCKED', 'BUSY']

/** Whether `error` is one of the scripts' own errors, and so an answer to the request. */
export function isOwnReply(error: unknown): boolean {
  return isReply(error, ...OWN)
}

export function isTransient(error: unknown): boolean {
  return isReply(error, ...TRANSIENT)
}

/** Whether an error reply will be the same the next time: out of memory, no permission, wrong type of key. */
export function isRefusal(error: unknown): boolean {
  return isReply(error) && !isReply(error, ...OWN, ...TRANSIENT)
}
