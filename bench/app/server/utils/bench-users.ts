import { useSSEChannel, useSSEChannels } from '#sse/server'
import { message } from './bench-messages'

const AT_ONCE = 200
/** Notices of a user, stored for a month, as in the guide to notifications. */
const noticesOf = (user: number) => useSSEChannel(`user:${user}`, { retention: { maxMessages: 200, maxAgeMs: 30 * 86_400_000 } })
let connected = 0

/** Channels of the next user: one of their own, and one for all. */
export const nextUser = () => useSSEChannels({ own: noticesOf(connected++), all: useSSEChannel('announcements') })

/** Publishes `each` notices to each of `count` users, `AT_ONCE` users at a time. */
export async function notifyUsers(count: number, each: number): Promise<void> {
  for (let n = 0; n < each; n++) {
    for (let from = 0; from < count; from += AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, index) => noticesOf(from + index).publish(message(n))))
    }
  }
}
