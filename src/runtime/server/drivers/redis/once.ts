import { SSEError } from '../../../shared/errors'
import { ANSWER_FACTOR } from './connection/client'
import { retrying } from './commands'
import type { ServerClock } from './commands'
import { isOwnReply, isReply, unavailable } from './errors'

/**
 * Runs a command at most once, and determines whether it ran. `attempt` must be safe to repeat. Redis recognises a repeated attempt and
 * returns the first answer. After the deadline (server's time, ms) it refuses with `EXPIRED` an attempt that did not run before.
 *
 * The deadline leaves part of the time unused. If no answer has come by then, the command can no longer start, and a repeated attempt
 * returns the outcome. If this process was itself suspended, or its event loop blocked, it gets the whole time again for that.
 *
 * @param until in `performance.now()` time
 * @throws the last error. The command may have run only if Redis did not answer between the deadline and the end
 */
export async function onceOrNever<T>(until: number, timeoutMs: number, clock: ServerClock, attempt: (until: number, deadline: number) => Promise<T>): Promise<T> {
  const askAgainMs = timeoutMs * (1 - ANSWER_FACTOR)
  const answerBy = until - askAgainMs
  // The time ran out in a queue, before the first attempt.
  if (performance.now() >= answerBy) throw unavailable(new Error('The deadline passed before the command could be sent to Redis.'))
  let deadline = 0
  let unsure = false
  try {
    return await retrying(answerBy, async () => {
      // An earlier attempt may have carried a later deadline, if the clock has been corrected since.
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
