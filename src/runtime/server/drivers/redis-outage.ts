/** Says once that Redis is away, and once that it is back, however often both are noticed. */
export class RedisOutage {
  #failedAt?: number

  /** A store of many nodes is back when nothing has failed for `quietMs`: some of them may answer all the time. */
  constructor(private readonly report: (message: string, cause?: unknown) => void, private readonly quietMs: () => number) {}

  failed(cause: unknown): void {
    if (this.#failedAt === undefined) this.report('Redis cannot be reached: what is published is refused until it can be.', cause)
    this.#failedAt = performance.now()
  }

  worked(): void {
    if (this.#failedAt === undefined || performance.now() - this.#failedAt < this.quietMs()) return
    this.#failedAt = undefined
    this.report('Redis is back.')
  }
}
