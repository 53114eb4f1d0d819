import { withoutArguments } from '../errors'

/** Time until a repeated refusal is reported again, in milliseconds. */
const REPEAT_MS = 60_000

/** Reports an outage of Redis once when it begins and once when it ends, however often either is noticed. */
export class RedisOutage {
  #failedAt?: number
  #refusedAt = -Infinity

  /** A store of many nodes has recovered when no node has failed for `quietMs`: some of them may answer all the time. */
  constructor(private readonly report: (message: string, cause?: unknown) => void, private readonly quietMs: () => number) {}

  failed(cause: unknown): void {
    if (this.#failedAt === undefined) this.report('Redis is unreachable. Publishing fails until it is reachable again.', withoutArguments(cause))
    this.#failedAt = performance.now()
  }

  /** A new connection ends an outage, unless commands were refused lately: it does not show that they would be accepted. */
  connected(): void {
    if (performance.now() - this.#refusedAt >= REPEAT_MS) this.worked()
  }

  worked(): void {
    if (this.#failedAt === undefined || performance.now() - this.#failedAt < this.quietMs()) return
    this.#failedAt = undefined
    this.report('Redis is reachable again.')
  }

  /** Reports that Redis answers, but refuses a command: it is full, or the user lacks permission. Other commands may work meanwhile. */
  refused(cause: unknown): void {
    if (performance.now() - this.#refusedAt < REPEAT_MS) return
    this.#refusedAt = performance.now()
    this.report('Redis rejected a command.', withoutArguments(cause))
  }
}
