import { SSEError } from '../../shared/errors'

export interface AdmissionLimits {
  maxConnections: number | false
  maxConnectionsPerClient: number | false
}

/**
 * Counts what is open, of a process or of one handler, and refuses newcomers beyond a bound; never evicts. A place is
 * taken before the handler runs, in the same turn in which it was found free: the count is exact however many come at once.
 */
export class Admission {
  #open = 0
  readonly #byClient = new Map<string, number>()

  get open(): number {
    return this.#open
  }

  /** Clients of whom something is open: 0 when nothing is left. */
  get clients(): number {
    return this.#byClient.size
  }

  /** Throws `TOO_MANY_CONNECTIONS` (503) or `TOO_MANY_CONNECTIONS_PER_CLIENT` (429). */
  check({ maxConnections, maxConnectionsPerClient }: AdmissionLimits, client: string | undefined): void {
    // First the bound that the client itself has reached.
    if (maxConnectionsPerClient !== false && client !== undefined && (this.#byClient.get(client) ?? 0) >= maxConnectionsPerClient) {
      throw new SSEError('TOO_MANY_CONNECTIONS_PER_CLIENT', `Too many open connections: ${maxConnectionsPerClient} are allowed per client. Close one, or try again later.`, { statusCode: 429 })
    }
    if (maxConnections !== false && this.#open >= maxConnections) {
      throw new SSEError('TOO_MANY_CONNECTIONS', 'The server has too many open connections. Try again later.', { statusCode: 503 })
    }
  }

  /** Takes a place. The release may be called more than once. */
  enter(client: string | undefined): () => void {
    this.#open++
    if (client !== undefined) this.#byClient.set(client, (this.#byClient.get(client) ?? 0) + 1)
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#open--
      if (client === undefined) return
      const left = this.#byClient.get(client)! - 1
      if (left === 0) this.#byClient.delete(client)
      else this.#byClient.set(client, left)
    }
  }
}

/** The admissions of a process: one of all connections, and one of each handler that has bounds of its own. */
export class Admissions {
  readonly all = new Admission()
  readonly #own = new WeakMap<AdmissionLimits, Admission>()

  constructor(private readonly limits: AdmissionLimits) {}

  /**
   * `limits` is a handler's, with the module's where it has none: the same object at every request. A number of its own
   * counts that handler's connections, besides the module's; `false` exempts it from the module's bound.
   */
  enter(limits: AdmissionLimits, clientKey: () => string | undefined): (() => void) | undefined {
    // Where nothing is bounded, nothing is counted: there is a release for each open connection.
    if (isUnbounded(limits) && isUnbounded(this.limits)) return undefined
    const shared = { maxConnections: this.#shared('maxConnections', limits), maxConnectionsPerClient: this.#shared('maxConnectionsPerClient', limits) }
    const client = limits.maxConnectionsPerClient === false && shared.maxConnectionsPerClient === false ? undefined : clientKey()
    let own = this.#own.get(limits)
    if (!own) this.#own.set(limits, own = new Admission())
    this.all.check(shared, client)
    own.check(limits, client)
    const releases = [this.all.enter(client), own.enter(client)]
    return () => {
      for (const release of releases) release()
    }
  }

  #shared(name: keyof AdmissionLimits, limits: AdmissionLimits): number | false {
    return limits[name] === false ? false : this.limits[name]
  }
}

function isUnbounded({ maxConnections, maxConnectionsPerClient }: AdmissionLimits): boolean {
  return maxConnections === false && maxConnectionsPerClient === false
}
