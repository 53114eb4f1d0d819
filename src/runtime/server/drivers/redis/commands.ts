import { SSEError } from '../../../shared/errors'
import type { LogRetention } from '../../options'
import { RETENTION_FIELDS } from '../channel-retention'
import { RETRY_MS } from './connection/client'
import type { RedisClient } from './connection/client'
import { isReply, isTransient } from './errors'
import type { RedisLink } from './connection/link'
import { APPEND } from './scripts/append'
import { FINISH } from './scripts/finish'
import { LEASE } from './scripts/lease'
import { PRESENCE } from './scripts/presence'
import { PRESENCES } from './scripts/presences'
import { READ } from './scripts/read'
import { REMOVE } from './scripts/remove'

/** Script as a command of a client, which sends the script's text only when Redis does not know it. */
type Script = (...args: (string | number)[]) => Promise<string[]>
type ScriptName = 'sseAppend' | 'sseFinish' | 'sseLease' | 'ssePresence' | 'sseRead' | 'sseRemove'
type Scripted = RedisClient & Record<ScriptName, Script> & { ssePresences(...args: (string | number)[]): Promise<(string[] | Error)[]> }

/** Keys of all scripts, in their order. */
const KEYS = ['log', 'meta', 'keys'] as const

const SCRIPTS: Record<ScriptName, { lua: string, more?: readonly (keyof ChannelKeys)[] }> = {
  sseAppend: { lua: APPEND, more: ['writer'] },
  sseFinish: { lua: FINISH },
  sseLease: { lua: LEASE },
  ssePresence: { lua: PRESENCE, more: ['members', 'due'] },
  sseRead: { lua: READ },
  sseRemove: { lua: REMOVE },
}

/** A step of presence: keys of its channel, and arguments of the script. */
export interface PresenceCall {
  keys: ChannelKeys
  args: (string | number)[]
}

/** Redis keys of a channel. All are in one slot: the channel's name is the hash tag of each. */
export interface ChannelKeys {
  log: string
  meta: string
  keys: string
  /** Answer to this writer's last append. */
  writer: string
  /** Members that are present, and what of them is due. */
  members: string
  due: string
  /** Pub/sub channel of the notices. */
  live: string
}

export function channelKeys(prefix: string, channel: string, writer: string): ChannelKeys {
  const tagged = `${prefix}{${channel.replace(/[%{}]/g, encodeURIComponent)}}`
  return { log: `${tagged}:log`, meta: `${tagged}:meta`, keys: `${tagged}:keys`, writer: `${tagged}:w:${writer}`, members: `${tagged}:members`, due: `${tagged}:due`, live: `${tagged}:live` }
}

/** Script arguments of a retention: its fields, and which of them the writer names. */
export function retentionArgs({ maxMessages, maxAgeMs, maxBytes, named }: LogRetention): [number, number, number, string] {
  return [maxMessages, maxAgeMs, maxBytes, RETENTION_FIELDS.map(field => named?.[field] === undefined ? '0' : '1').join('')]
}

/** Runs one of the scripts. `deadline` is in the server's time, in milliseconds. */
export function runScript(link: RedisLink, until: number, name: ScriptName, keys: ChannelKeys, deadline: number, args: (string | number)[]): Promise<string[]> {
  return link.run(until, client => withScripts(client)[name](
    ...keysFor(name, keys),
    // In a cluster, scripts too must publish to the shard of the channel's slot.
    keys.live, client.isCluster ? 'SPUBLISH' : 'PUBLISH', deadline,
    ...args,
  ))
}

/** Runs steps of presence of several channels, on one node. Resolves with the answer of each, or its error. */
export function runPresences(link: RedisLink, until: number, deadline: number, calls: PresenceCall[]): Promise<(string[] | Error)[]> {
  const keys = calls.flatMap(call => keysFor('ssePresence', call.keys))
  return link.run(until, client => withScripts(client).ssePresences(keys.length, ...keys, ...calls.flatMap(({ keys: { live }, args }) => [live, 'PUBLISH', deadline, ...args])))
}

function keysFor(name: ScriptName, keys: ChannelKeys): string[] {
  return [...KEYS, ...SCRIPTS[name].more ?? []].map(key => keys[key])
}

/**
 * Repeats `attempt` until it succeeds, is refused, or the time is up: connections break, nodes change roles, and answers get lost.
 * `attempt` must be safe to repeat.
 *
 * Rejects with the last error. If that is no reply of Redis, rejects with the last transient reply, if there was one: a replica answers
 * that it is one and is disconnected, so that the last attempt only finds no connection. With `clock`, it also retries when a deadline was
 * missed because the server's clock was not known well.
 */
export async function retrying<T>(until: number, attempt: () => Promise<T>, clock?: ServerClock): Promise<T> {
  let said: unknown
  while (true) {
    try {
      return await attempt()
    }
    catch (error) {
      if (isTransient(error)) said = error
      // An SSEError means that nothing was sent, and that a retry cannot help.
      const passing = clock?.learn(error) || isTransient(error) || !(error instanceof SSEError || isReply(error))
      if (!passing || performance.now() >= until) throw isReply(error) ? error : said ?? error
      await new Promise(resolve => setTimeout(resolve, RETRY_MS))
    }
  }
}

/** Clock of the server, for the deadlines of scripts. */
export class ServerClock {
  #aheadMs?: number
  #asked?: Promise<void>

  constructor(private readonly link: RedisLink) {}

  /** Converts `until` from `performance.now()` time to the server's time. Requests the server's time once, if it is not known yet. */
  async at(until: number): Promise<number> {
    // One request for all callers, so that concurrent callers continue in their order.
    if (this.#aheadMs === undefined) await (this.#asked ??= this.#ask(until))
    // Scripts count in whole milliseconds: a script that runs at `until` must find the deadline passed.
    return Math.floor(until + this.#aheadMs!) - 1
  }

  async #ask(until: number): Promise<void> {
    try {
      const [seconds, micros] = await this.link.run(until, client => client.time())
      this.set(Number(seconds) * 1_000 + Number(micros) / 1_000)
    }
    finally {
      this.#asked = undefined
    }
  }

  set(now: number): void {
    this.#aheadMs = now - performance.now()
  }

  /** Reads the server's time from an `EXPIRED` error. Returns `false` for every other error. */
  learn(error: unknown): boolean {
    if (!isReply(error, 'EXPIRED')) return false
    this.set(Number(/EXPIRED (\d+)/.exec(error.message)?.[1]))
    return true
  }
}

function withScripts(client: RedisClient): Scripted {
  if (!('sseAppend' in client)) {
    for (const [name, { lua, more = [] }] of Object.entries(SCRIPTS)) client.defineCommand(name, { lua, numberOfKeys: KEYS.length + more.length })
    // Its first argument is the number of keys.
    client.defineCommand('ssePresences', { lua: PRESENCES })
  }
  return client as Scripted
}
