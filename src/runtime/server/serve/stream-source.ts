import type { Connection } from '../connection/connection'
import type { ConnectionContext } from '../connection/context'
import type { SourceIterator } from '../lib/source'
import { isAbort, release } from '../lib/source'
import { encodeItemText } from '../wire/message'
import { isForTheLog, publicError } from '../wire/public-error'

/**
 * Streams a source: pulls its next item only while the connection has room. Ends the connection with `end` when the source is complete, and
 * with `error` when it throws. Releases the source when the connection is over first.
 *
 * An item that cannot be sent is thrown into the generator, at its `yield`: it may catch the error and continue, or fail. Never rejects.
 * `subject` names the source in the log.
 */
export async function streamSource(connection: Connection, iterator: SourceIterator, report: ConnectionContext<Connection>['report'], subject: string, open: () => void): Promise<void> {
  let over = false
  const advance = async (step: () => ReturnType<SourceIterator['next']>) => {
    try {
      const result = await step()
      over = result.done === true
      return result
    }
    catch (error) {
      over = true
      throw error
    }
  }
  connection.onClosed(() => {
    // As with `for await`, a source that is complete or has failed has released itself. The release is not awaited: a generator that hangs
    // in its own `await` must not hold back the end of the response.
    if (!over) return release(iterator, report)
  })
  try {
    // A generator runs up to its first `await` before the opening block is sent, so that it can still read the request.
    let step = advance(() => iterator.next())
    open()
    while (true) {
      const { done, value } = await step
      if (connection.closed) return
      if (done) return void connection.close()
      const failure = await trySend(connection, value)
      if (connection.closed) return
      // An iterator without `throw()` cannot receive the error, so its reader does.
      if (failure !== undefined && !iterator.throw) throw failure
      step = advance(() => failure === undefined ? iterator.next() : iterator.throw!(failure))
    }
  }
  catch (error) {
    if (isForTheLog(error) && !(connection.closed && isAbort(error))) report(error, 'source', subject)
    if (!connection.closed) connection.fail(publicError(error))
  }
}

async function trySend(connection: Connection, value: unknown): Promise<unknown> {
  try {
    await connection.queue(encodeItemText(value, connection.options.maxMessageBytes))
  }
  catch (error) {
    return error
  }
}
