import { SSEError } from '../../../shared/errors'
import { ANSWER_FACTOR } from './connection/client'
import { retrying } from './commands'
import type { ServerClock } from './commands'
import { isOwnReply, isReply, unavailable } from './errors'

/**
 * Has Redis do something once, or not at all, and finds out which. `attempt` must be one that Redis recognises when it is asked again,
 * gives the answer of then, and refuses with `EXPIRED` behind the deadline (server's time, ms) if it was not done before.
 *
 * The deadline leaves some of the time: if no answer has come until then, nothing can begin to happen any more, and asking again tells
 * what has. A process that was held up itself (suspended, or its event loop blocked) has its time anew for that.
 *
 * @param until in `performance.now()` time
 * @throws what went wrong last. Redis may have done it only if it was not heard from between the deadline and the end
 */
export async function onceOrNever<T>(until: number, timeoutMs: number, clock: ServerClock, attempt: (until: number, deadline: number) => Promise<T>): Promise<T> {
  const askAgainMs = timeoutMs * (1 - ANSWER_FACTOR)
  const answerBy = until - askAgainMs
  // It waited for others, and its time went with theirs.
  if (performance.now() >= answerBy) throw unavailable(new Error('There was no time left to ask Redis.'))
  let deadline = 0
  let unsure = false
  try {
    return await retrying(answerBy, async () => {
      // Another attempt may have been given a later one, by a clock that has been corrected since.
      deadline = Math.max(deadline, await clock.at(answerBy))
      return attempt(answerBy, deadline).catch((error) => {
        unsure = !isOwnReply(error) && (unsure || !(isReply(error) || error instanceof SSEError))
        throw error
      })
    }, clock)
  }
  catch (error) {
    if (!unsure) throw error
    const now = performance.now()
    const heldUp = now > answerBy + askAgainMs / 2
    const end = heldUp ? now + timeoutMs : until
    return retrying(end, () => attempt(end, deadline))
  }
}
