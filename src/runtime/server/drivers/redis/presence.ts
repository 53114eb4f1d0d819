import { afterTick } from '../../lib/tick'
import type { LogRetention } from '../../options'
import type { PresenceAnswer, PresenceRequest } from '../presence-types'
import { MAX_NOTICE_LENGTH } from './appends'
import { retentionArgs, retrying, runPresences } from './commands'
import type { ChannelKeys, ServerClock } from './commands'
import type { RedisLink } from './connection/link'
import { isRefusal, isReply, isTransient, unavailable } from './errors'

/** Maximum number of channels in one script call: while it runs, Redis does nothing else. */
const MAX_BATCH = 100

/** Step that changes no member: the renewal of a lease, or a look at the number of members. */
interface Waiting {
  channel: string
  request: PresenceRequest
  retention: LogRetention
  resolve(answer: PresenceAnswer): void
  reject(error: unknown): void
}

export interface RedisPresenceInit {
  link: RedisLink
  clock: ServerClock
  timeoutMs: number
  keysOf(channel: string): ChannelKeys
  /** Returns the epoch of a log that begins with an attempt; a different one for each attempt. */
  candidate(): string
  /** Runs the script of one step. Resolves with its answer, without the server's time that precedes it. */
  run(channel: string, args: (string | number)[]): Promise<string[]>
}

/**
 * Steps of presence. A process renews its lease on every name at about the same time: the renewals of one tick are one script call for each
 * {@link MAX_BATCH} names. In a cluster, names are in different slots, and each has its own call.
 */
export class RedisPresence {
  #waiting: Waiting[] = []

  constructor(private readonly init: RedisPresenceInit) {}

  step(channel: string, request: PresenceRequest, retention: LogRetention): Promise<PresenceAnswer> {
    if (request.hold?.length || request.release?.length || request.list) return this.#stepAlone(channel, request, retention)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ channel, request, retention, resolve, reject })
      if (this.#waiting.length === 1) afterTick(() => void this.#flush())
    })
  }

  async #stepAlone(channel: string, request: PresenceRequest, retention: LogRetention): Promise<PresenceAnswer> {
    return this.#answer(await this.init.run(channel, this.#args(request, retention)), request)
  }

  async #flush(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    const { link, timeoutMs } = this.init
    const until = performance.now() + timeoutMs
    try {
      if (waiting.length === 1 || await retrying(until, () => link.run(until, async client => client.isCluster))) {
        for (const { channel, request, retention, resolve, reject } of waiting) this.#stepAlone(channel, request, retention).then(resolve, reject)
        return
      }
    }
    catch (error) {
      for (const { reject } of waiting) reject(unavailable(error))
      return
    }
    for (let from = 0; from < waiting.length; from += MAX_BATCH) void this.#stepTogether(waiting.slice(from, from + MAX_BATCH), until)
  }

  async #stepTogether(batch: Waiting[], until: number): Promise<void> {
    const { link, clock, keysOf } = this.init
    try {
      const replies = await retrying(until, async () => {
        const steps = batch.map(({ channel, request, retention }) => ({ keys: keysOf(channel), args: this.#args(request, retention) }))
        const answers = await runPresences(link, until, await clock.at(until), steps)
        // Repeating a step has no further effect, so all are repeated.
        const passing = answers.find(answer => isReply(answer, 'EXPIRED') || isTransient(answer))
        if (passing) throw passing
        return answers
      }, clock)
      replies.forEach((reply, index) => {
        const { request, resolve, reject } = batch[index]!
        if (reply instanceof Error) {
          // A key of another type, for example. Only this channel has it.
          if (isRefusal(reply)) link.refused(reply)
          return reject(unavailable(reply))
        }
        const [now, ...answer] = reply
        clock.set(Number(now))
        resolve(this.#answer(answer, request))
      })
    }
    catch (error) {
      link.gaveUp(error)
      for (const { reject } of batch) reject(unavailable(error))
    }
  }

  #args({ holder = '', leaseMs, hold = [], release = [], graceMs = 0, list }: PresenceRequest, retention: LogRetention): (string | number)[] {
    return [
      this.init.candidate(), ...retentionArgs(retention), holder, leaseMs ?? '', Math.ceil(graceMs), list ? 1 : 0, MAX_NOTICE_LENGTH, hold.length,
      ...hold.flatMap(({ id, member, keep }) => [id, member, keep ? 1 : 0]),
      ...release.flatMap(({ id, afterMs }) => [id, Math.ceil(afterMs)]),
    ]
  }

  #answer([refused, epoch, last, known, count, dueMs, doubtMs, ...members]: string[], { list }: PresenceRequest): PresenceAnswer {
    if (refused) this.init.link.refused(new Error(refused))
    return { epoch: epoch!, last: Number(last), known: known === '1', count: Number(count), ...dueMs && { dueMs: Number(dueMs) }, ...doubtMs && { doubtMs: Number(doubtMs) }, ...list && { members } }
  }
}
