import { vi } from 'vitest'
import { createSSEClient } from '../../../../src/runtime/client/client'
import type { SSEClient, SSEClientState } from '../../../../src/runtime/client/types'
import type { LoadOutcome } from '../../../../src/runtime/client/host'
import { loadState } from '../../../../src/runtime/client/read-state'
import type { SSEClientOptions, SSEMessage, SSEStatus } from '../../../../src/runtime/client'
import { resolveClientOptions } from '../../../support/client-options'
import { createRandom } from '../../../support/random'
import type { Entry, Wire } from './server'
import { ModelServer } from './server'
import { allowed } from './states'
import type { Page } from './page'

const MAX_RETRY_AFTER_MS = 3_600_000
const FOREIGN_DELAY_MS = 3_000
/** Rounds after which all that is left must have reached an undisturbed client. */
const MAX_ROUNDS = 200

export interface Scenario {
  options: SSEClientOptions
  /** Every so many attempts, `headers()` never settles; 0: never. */
  hangs: number
  seed: number
  /** The server knows nothing of the module's protocol. */
  isForeign?: boolean
  /** The client has the option `load`. */
  loads?: boolean
  /** The client runs in a page, whose server answers the probe of the network like this. `undefined`: there is no page. */
  probe?: 'lets through' | 'holds back' | 'another page'
}

/** Call of the option `load` that has not settled. */
interface Load { signal: AbortSignal, path: string, life: number, settle: (outcome: LoadOutcome) => void }

/** Differences between virtual time without a network, and real time with one. */
export interface Ground {
  /** False: time and network are real, and all that depends on the moment is unchecked. */
  readonly exact: boolean
  readonly origin: string
  /** The delay that a server sends with a leave. */
  readonly leaveMs: number
  settled(): Promise<void>
  advance(ms: number): Promise<void>
  sleep(ms: number): void
  /** Timers of the client that are pending. */
  readonly timers: number
}

/** A client, its server and its page, and the invariants that hold for them. */
export class World {
  readonly server: ModelServer
  readonly client: SSEClient
  /** After the last message that was delivered: where the next one must follow. */
  private pointer: string | undefined
  private hadPosition = false
  /** `after` as it was before the step that is under way. */
  private knewPosition = false
  private gap: SSEClientState['gap']
  path = '/1'
  private started = false
  private attempts = 0
  /** No request before this, in epoch milliseconds. */
  notBefore = 0
  /** The delay that `Retry-After` or `pending` prescribes in the answer of this step. */
  floorMs = 0
  private requests = 0
  /** Failures in a row, and whether a failure in this step counts. */
  private failures = 0
  private counts = true
  /** Current session, which each request reports: over a network it may arrive long after the request was given up. */
  private life = 0
  /** The start positions of requests that had none. */
  private readonly starts = new Map<Wire, string>()
  private hangs: number
  /** Calls of `load` that are not settled, and not aborted. */
  private loads: Load[] = []
  /** The state that the next message follows is loaded. */
  private isLoaded = false
  readonly violations: string[] = []

  constructor(readonly scenario: Scenario, readonly ground: Ground, readonly page: Page) {
    this.hangs = scenario.hangs
    // By the time, not by the number of calls: vitest itself calls `Math.random` when its own timers fire, and a failure would not replay.
    vi.spyOn(Math, 'random').mockImplementation(() => createRandom(scenario.seed + Math.round(performance.now() * 2)).int(1_000) / 1_000)
    this.server = new ModelServer((wire, position) => this.starts.set(wire, position), scenario.isForeign)
    const options = resolveClientOptions({
      ...scenario.options,
      headers: () => this.hangs && ++this.attempts % this.hangs === 0 ? new Promise(() => {}) : { 'x-life': String(this.life) },
    })
    if (scenario.loads) Object.assign(options, { loadState, readState: (signal: AbortSignal) => this.onLoadCall(signal) })
    this.client = createSSEClient(ground.origin + this.path, options, {
      onLoad: (data, { position }) => this.onLoad(data as Load, position!),
      onMessage: (message, { position }) => this.onMessage(message, position),
      onState: change => this.onState(change),
    })
  }

  get status(): SSEStatus {
    return this.client.state.status
  }

  /** It cannot be repeated, as the server has not announced that it resumes. */
  get isFragile(): boolean {
    return this.scenario.options.method === 'POST' && this.client.state.peer !== 'resumable'
  }

  get isForeign(): boolean {
    return !!this.scenario.isForeign
  }

  /** The stream that is tried while polling. */
  isProbe(wire: Wire): boolean {
    return !wire.isPoll && this.client.state.transport === 'poll'
  }

  /** The call of `load` that is under way. */
  get load(): Load | undefined {
    return this.loads.find(({ signal }) => !signal.aborted)
  }

  private onLoadCall(signal: AbortSignal): Promise<LoadOutcome> {
    if (this.load) this.violation('a second `load` while one is under way')
    if (this.isLoaded) this.violation('a `load` without a gap')
    if (this.ground.exact && this.server.open.length) this.violation('a `load` while a request is open')
    if (this.ground.exact && Date.now() < this.notBefore) this.violation(`a load ${this.notBefore - Date.now()} ms before its time`)
    if (this.client?.state.error?.retryAt && this.ground.exact) this.violation('a load while `retryAt` says later')
    return new Promise((settle) => {
      this.loads.push({ signal, path: this.path, life: this.life, settle })
    })
  }

  /** Settles the call of `load` that is under way, after those that were aborted, which must have no effect. */
  settleLoad(outcome: (load: Load) => LoadOutcome): void {
    const { load } = this
    for (const one of this.loads) if (one !== load) one.settle({ type: 'loaded', data: one, position: 'e1.0' })
    load?.settle(outcome(load))
    this.loads = []
  }

  /** The state of the log as it is now, or as it was `lag` messages ago. */
  loaded(load: Load, lag = 0): LoadOutcome {
    const { epoch, head } = this.server.log(load.path)
    return { type: 'loaded', data: load, position: `e${epoch}.${Math.max(0, head - lag)}` }
  }

  private onLoad(load: Load, position: string): void {
    if (load.signal.aborted) this.violation('an aborted `load` is applied')
    if (load.path !== this.path || load.life !== this.life) this.violation(`a state of ${load.path}, which was left`)
    if (this.client.state.position !== position) this.violation(`loaded ${position}, and the position is ${this.client.state.position}`)
    if (!['connecting', 'reconnecting'].includes(this.status)) this.violation(`loaded while ${this.status}`)
    this.isLoaded = this.hadPosition = true
    this.pointer = position
  }

  private violation(text: string): void {
    this.violations.push(text)
  }

  onRequest(wire: Wire): void {
    // Whether the stream is dead, checked when the page wakes: see waking.test.ts. Here it never is.
    if (wire.isPoll && !wire.waitMs && this.client.state.transport === 'stream') {
      wire.head(200, { 'content-type': 'application/json' })
      wire.write(new TextEncoder().encode(JSON.stringify({ type: 'batch', messages: [], position: wire.position, ended: false, gap: null, pollMs: 0 })))
      return wire.end()
    }
    this.server.wires.push(wire)
    if (!this.ground.exact) return
    const probe = this.isProbe(wire)
    if (!probe) this.requests++
    if (['idle', 'closed'].includes(this.status)) this.violation(`a request while ${this.status}`)
    if (wire.path !== this.path) this.violation(`a request for ${wire.path}, which was left`)
    // Messages of the probe are not used, and the probe may be on its way when the first position arrives.
    if (wire.position === undefined && (probe ? this.knewPosition : this.hadPosition)) this.violation('a request without the position')
    if (!probe && Date.now() < this.notBefore) this.violation(`a request ${this.notBefore - Date.now()} ms before its time`)
    // The probe delivers nothing, and may begin in the turn in which a poll reports the gap.
    if (!probe && this.scenario.loads && !this.isLoaded) this.violation('a request without a state to follow')
    if (this.isFragile && this.server.wires.some(one => one !== wire && one.life === wire.life && one.path === wire.path && !this.server.refused(one))) {
      this.violation(`request ${wire.number} repeats a POST whose effect is unknown`)
    }
    if (!probe && this.client.state.error?.retryAt) this.violation('a request while `retryAt` says later')
  }

  private onMessage({ id, event, data }: SSEMessage, position: string | undefined): void {
    if (event === 'sse' && this.isForeign) {
      this.failures = 0
      return
    }
    if (this.scenario.loads && !this.isLoaded) this.violation(`${id} is reduced into a state that is about to be replaced`)
    const { epoch, offset, path, wire: number, text } = data as Entry
    const at = `${epoch}.${offset}`
    const wire = this.server.wires.find(one => one.number === number)!
    if (path !== this.path) this.violation(`${at} of ${path}, which was left`)
    if (wire.aborted && this.ground.exact) this.violation(`${at} of request ${number}, which was aborted`)
    this.hadPosition = true
    this.failures = 0
    if (wire.life !== this.life) this.violation(`${at} of request ${number}, which is of an earlier life`)
    if (this.status !== 'connected') this.violation(`${at} while ${this.status}`)
    if (position !== at || this.client.state.position !== at || this.client.state.attempt) this.violation(`${at} came with ${position} and ${JSON.stringify(this.client.state)}`)
    if (id !== at || text !== 'e é 🎉') this.violation(`${at} came as ${id} ${text}`)
    this.pointer ??= this.startOf(wire)
    const [life, last] = (this.pointer ?? '').split('.')
    if (life !== epoch || Number(last) + 1 !== offset) this.violation(`${at} behind ${this.pointer}`)
    this.pointer = at
    this.hadPosition = true
  }

  /** Where the first message of a URL must follow: a requested position is one that an earlier answer carried. */
  private startOf(wire: Wire): string | undefined {
    if (wire.position === undefined) return this.starts.get(wire)
    return [...this.starts].some(([one, start]) => one.path === this.path && start === wire.position) ? wire.position : undefined
  }

  private onState(change: Partial<SSEClientState>): void {
    if (change.status === 'idle' || change.status === 'closed') this.life++
    // A new session reports all of the state again.
    if (change.gap && change.gap !== this.gap) {
      this.pointer = change.gap.position
      this.isLoaded = false
    }
    this.gap = this.client.state.gap
    if (change.position !== undefined) this.hadPosition = true
    if (change.attempt === 0 && this.status !== 'reconnecting') this.failures = 0
    const retryAt = change.error?.retryAt
    if (retryAt && this.ground.exact) {
      this.notBefore = retryAt
      const { attempt } = this.client.state
      if (this.counts) this.failures++
      if (attempt !== this.failures) this.violation(`failure ${this.failures} is said to be ${attempt}`)
      const { minDelayMs = 500, maxDelayMs = 20_000 } = this.scenario.options.reconnect ?? {}
      // Another server has not jittered its `retry`, which is waited in full.
      const base = this.client.state.peer === 'foreign' ? FOREIGN_DELAY_MS : 0
      const bound = base + Math.min(maxDelayMs, Math.max(minDelayMs, base) * 2 ** Math.max(0, attempt - 1))
      const floor = Math.max(base, Math.min(this.floorMs, MAX_RETRY_AFTER_MS))
      const delayMs = retryAt - Date.now()
      if (delayMs < floor || delayMs > Math.max(bound, floor)) this.violation(`${delayMs} ms after failure ${attempt}, expected ${floor} to ${bound}`)
    }
  }

  /** One input that leads where the table allows, or none. */
  async step(input: string | undefined, act: () => void): Promise<void> {
    const before = this.status
    this.requests = 0
    this.knewPosition = this.hadPosition
    this.counts = input !== '`offline`' && input !== '503 `pending`'
    act()
    await this.ground.settled()
    this.counts = true
    this.floorMs = 0
    if (this.ground.exact) {
      const next = input === undefined ? [before] : allowed(input, before)
      if (!next.includes(this.status)) this.violation(`${input ?? 'nothing'}: ${before} → ${this.status}`)
    }
    this.check()
  }

  connect(url?: string): Promise<void> {
    return this.step(url ? '`connect(url)`' : '`connect()`', () => {
      this.started = true
      this.life++
      this.notBefore = 0
      if (url) {
        this.path = url
        this.forget()
      }
      this.client.connect(url && this.ground.origin + url)
    })
  }

  stop(): Promise<void> {
    return this.step('`stop()`', () => this.client.stop())
  }

  reset(): Promise<void> {
    return this.step('`reset()`', () => {
      this.started = false
      this.life++
      this.notBefore = this.failures = 0
      this.forget()
      this.client.reset()
    })
  }

  private forget(): void {
    this.hadPosition = this.knewPosition = this.isLoaded = false
    this.pointer = undefined
    this.starts.clear()
  }

  pause(): Promise<void> {
    return this.step('`pause()`', () => this.client.pause())
  }

  /** The page sleeps, or is hidden. */
  leave(type: string): Promise<void> {
    return this.step(type === 'visibilitychange' ? 'hidden' : '`pagehide`, `freeze`', () => {
      this.page.hidden = true
      this.page.dispatch(type)
    })
  }

  /** It wakes, and reports it in several ways. */
  async wake(types: string[]): Promise<void> {
    await this.step(types.includes('online') ? '`online`' : '`pageshow`, `resume`, visible', () => {
      if (types.includes('online') || this.status === 'idle') this.notBefore = 0
      this.page.hidden = false
      this.page.dispatch(...types)
    })
    if (this.requests > 1) this.violation(`${this.requests} requests after ${types}`)
    this.raise()
  }

  offline(): Promise<void> {
    return this.step('`offline`', () => this.page.dispatch('offline'))
  }

  async advance(ms: number): Promise<void> {
    const before = this.status
    this.knewPosition = this.hadPosition
    await this.ground.advance(ms)
    if (['idle', 'closed'].includes(before) && this.status !== before) this.violation(`time: ${before} → ${this.status}`)
    this.check()
  }

  private check(): void {
    if (this.ground.exact) this.checkMoment()
    const { status, error } = this.client.state
    if (error && status === 'closed' && (error.retry || error.retryAt)) this.violation(`final, and to be tried again: ${error.code}`)
    if (error && status !== 'closed' && !error.retry) this.violation(`${status}, and final: ${error.code}`)
    if (error && ['idle', 'connecting', 'connected'].includes(status)) this.violation(`${status}, with ${error.code}`)
    this.raise()
  }

  private checkMoment(): void {
    const { status, transport, error } = this.client.state
    const streams = this.server.open.filter(wire => !wire.isPoll).length
    const polls = this.server.open.length - streams
    if (streams > 1 || polls > 1) this.violation(`${streams} streams and ${polls} polls are open`)
    if (streams && polls && transport !== 'poll') this.violation('both transports are live')
    if (polls && transport === 'stream') this.violation('a poll is left behind')
    const isLoading = !!this.load
    if (isLoading && (streams || polls)) this.violation('a request beside a `load`')
    if (isLoading && !['connecting', 'reconnecting'].includes(status)) this.violation(`a \`load\` while ${status}`)
    if (status === 'connected' && transport === 'stream' && !streams && !this.ground.timers) this.violation('connected to nothing')
    if (['connecting', 'reconnecting'].includes(status) && !streams && !polls && !isLoading && !this.ground.timers) this.violation(`${status}, and nothing comes of it`)
    if (['idle', 'closed'].includes(status)) this.checkNothingIsLeft()
    if (error?.retryAt && (streams + polls || error.retryAt < Date.now() - this.slept)) this.violation('`retryAt` is not true')
  }

  private slept = 0
  sleep(ms: number): Promise<void> {
    this.slept += ms
    return this.step(undefined, () => this.ground.sleep(ms))
  }

  private checkNothingIsLeft(): void {
    // It belongs to the page, and all of its clients: it ends by itself, within two seconds.
    if (this.page.probes) return
    if (this.load) this.violation(`${this.status}, and a \`load\` is under way`)
    if (this.server.open.length) this.violation(`${this.status}, and ${this.server.open.length} requests are open`)
    if (this.ground.timers) this.violation(`${this.status}, and ${this.ground.timers} timers are left`)
    if ((this.status === 'closed' || !this.started) && this.page.listeners) this.violation(`closed, and ${this.page.listeners} listeners are left`)
  }

  /** Once nothing troubles it any more, all that was published is there. */
  async heal(): Promise<void> {
    if (!this.started) return
    this.hangs = this.notBefore = 0
    this.page.hidden = false
    this.page.dispatch('resume', 'pageshow', 'online')
    const { server } = this
    for (const answer of server.live) server.withhold(answer, false)
    server.publish(this.path, 1)
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { epoch, trimmed, head, ended } = server.log(this.path)
      // A client that has seen nothing has missed nothing where nothing is left.
      const isThere = this.pointer === undefined ? trimmed === head : this.pointer === `e${epoch}.${head}`
      if (isThere && (ended ? this.client.state.ended : this.status === 'connected')) return this.raise()
      if (['idle', 'closed'].includes(this.status)) await this.connect()
      this.settleLoad(load => this.loaded(load))
      for (let wire = server.unanswered; wire; wire = server.unanswered) server.honest(wire)
      for (const answer of server.held) server.answerPoll(answer)
      for (const wire of server.open) {
        if (!server.live.some(answer => answer.wire === wire)) wire.cut()
      }
      await this.ground.settled()
      await this.advance(1_000)
    }
    this.violation(`stuck ${this.status} at ${this.pointer}: ${JSON.stringify(server.log(this.path))} ${this.client.state.error}`)
    this.raise()
  }

  /** The end is final, and leaves nothing. */
  async finish(): Promise<void> {
    const stopped = this.status === 'closed' || this.started
    this.client.stop()
    await this.ground.settled()
    const state = this.client.state
    const requests = this.server.wires.length
    this.settleLoad(load => this.loaded(load))
    this.page.dispatch('offline', 'resume', 'pageshow', 'online')
    await this.ground.advance(3_600_000)
    if (stopped && state.status !== 'closed') this.violation(`stopped, and ${state.status}`)
    if (this.client.state !== state) this.violation('stop() was not final')
    if (this.ground.exact && this.server.wires.length !== requests) this.violation('a request after stop()')
    if (this.page.probes) this.violation(`${this.page.probes} probes are left open`)
    if (this.ground.exact) this.checkNothingIsLeft()
    this.raise()
  }

  private raise(): void {
    if (this.violations.length) throw new Error(this.violations.join('\n'))
  }
}
