import { SSEError } from '../../shared/errors'

export interface AdmissionLimits {
  maxConnections: number | false
  maxConnectionsPerClient: number | false
}

/**
 * Counter of open connections and polls, of a process or of one handler. It refuses new ones beyond a limit, and never evicts. A place is
 * taken before the handler runs, in the turn in which it was found free. So the count is exact, however many requests arrive at once.
 */
class Admission {
  #open = 0
  readonly #byClient = new Map<string, number>()

  get open(): number {
    return this.#open
  }

  /** Number of clients with an open connection: 0 when none is left. */
  get clients(): number {
    return this.#byClient.size
  }

  /** Throws `TOO_MANY_CONNECTIONS` (503) or `TOO_MANY_CONNECTIONS_PER_CLIENT` (429). */
  check({ maxConnections, maxConnectionsPerClient }: AdmissionLimits, client: string | undefined): void {
    // Checks first the limit that the client itself has reached.
    if (maxConnectionsPerClient !== false && client !== undefined && (this.#byClient.get(client) ?? 0) >= maxConnectionsPerClient) {
      throw new SSEError('TOO_MANY_CONNECTIONS_PER_CLIENT', `Too many open connections: ${maxConnectionsPerClient} are allowed per client. Close one, or try again later.`, { statusCode: 429 })
    }
    if (maxConnections !== false && this.#open >= maxConnections) {
      throw new SSEError('TOO_MANY_CONNECTIONS', 'The server has too many open connections. Try again later.', { statusCode: 503 })
    }
  }

  /** Takes a place, and returns its release, which may be called more than once. */
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

/** Admissions of a process: one for all connections, and one for each handler with limits of its own. */
export class Admissions {
  readonly all = new Admission()
  readonly #own = new WeakMap<AdmissionLimits, Admission>()

  constructor(private readonly limits: AdmissionLimits) {}

  /**
   * Takes a place for a request, and returns its release; returns `undefined` if nothing is limited. Throws as {@link Admission.check}
   * does. `limits` are the handler's, completed with the module's: the same object at every request. A number counts the connections of
   * that handler, in addition to the module's limit; `false` exempts the handler from the module's limit.
   */
  enter(limits: AdmissionLimits, clientKey: () => string | undefined): (() => void) | undefined {
    // Without a limit, nothing is counted, which saves a release for each open connection.
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
