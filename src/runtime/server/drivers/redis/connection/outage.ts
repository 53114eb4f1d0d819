import { withoutArguments } from '../errors'

/** How long until a refusal that comes back is reported again. */
const REPEAT_MS = 60_000

/** Reports once that Redis is away, and once that it is back, however often either is noticed. */
export class RedisOutage {
  #failedAt?: number
  #refusedAt = -Infinity

  /** A store of many nodes is back when nothing has failed for `quietMs`: some of them may answer all the time. */
  constructor(private readonly report: (message: string, cause?: unknown) => void, private readonly quietMs: () => number) {}

  failed(cause: unknown): void {
    if (this.#failedAt === undefined) this.report('Redis cannot be reached: what is published is refused until it can be.', withoutArguments(cause))
    this.#failedAt = performance.now()
  }

  /** That there is a connection says nothing of what is refused over it. */
  connected(): void {
    if (performance.now() - this.#refusedAt >= REPEAT_MS) this.worked()
  }

  worked(): void {
    if (this.#failedAt === undefined || performance.now() - this.#failedAt < this.quietMs()) return
    this.#failedAt = undefined
    this.report('Redis is back.')
  }

  /** Redis answers, but refuses: it is full, or the user may not do this. Other commands may work meanwhile. */
  refused(cause: unknown): void {
    if (performance.now() - this.#refusedAt < REPEAT_MS) return
    this.#refusedAt = performance.now()
    this.report('Redis refuses what it is asked for.', withoutArguments(cause))
  }
}
