import type { H3Event } from 'h3'
import { pathOf } from '#sse/h3'
import { SECRET_LENGTH, createEpoch, rootOf } from '../../shared/position'
import { outside } from '../lib/async-context'
import { Channel } from '../channel/channel'
import { ownKeyOf } from './client-key'
import type { SSEContext } from '../context/context'
import type { ResolvedHandlerOptions } from '../options'
import type { SSERequest } from '../http/request'
import { channelPosition } from '../http/request'
import { readBefore } from './older'
import type { SSEConnection } from '../connection/types'
import type { SSEIterableSource } from '../lib/source'
import { iterate, release } from '../lib/source'
import { unref } from '../lib/tick'

/**
 * `resumable: true` runs a generator once, on a channel of its own. Only the position of one of its messages leads to that channel. Its
 * name is made of the position's epoch, which cannot be guessed (134 bits), the path of the request, and, where `clientKey` is set, the
 * client's key. A position that is sent to another route, or by another client, finds no channel.
 */

/** Number of times per window that a reader reports its presence. */
const SIGNS_OF_LIFE = 3

/** Result for a request for older messages whose run does not exist. */
export const NO_RUN = Symbol('nuxt-sse: no run')

export interface Resumable {
  /**
   * Replaces the connection for the handler. Its signal is the run's, since the source outlives its viewers. Until a run has begun, or
   * where none begins, it is the viewer's signal.
   */
  readonly connection: SSEConnection
  /**
   * Channel of the run that the request's position names; `source` is then released without being started. If no such run exists, the
   * channel of a new run with `source`. A request for older messages starts no run. Rejects when the driver cannot be reached, or has no
   * leases.
   */
  channelOf(source: SSEIterableSource): Promise<RunChannel | typeof NO_RUN>
}

/** Resumable run of one request. `left` aborts when the viewer leaves, or is refused. */
export function createResumable(event: H3Event, context: SSEContext, options: ResolvedHandlerOptions, request: SSERequest, viewer: SSEConnection, left: AbortSignal): Resumable {
  const { producers, report } = context
  const stopped = new AbortController()
  const onLeave = () => stopped.abort()
  if (left.aborted) onLeave()
  else left.addEventListener('abort', onLeave)

  async function find(): Promise<RunChannel | undefined> {
    const asked = request.older ? { kind: 'at' as const, ...readBefore(request.older) } : channelPosition(request.position)
    if (typeof asked !== 'object' || asked.kind !== 'at') return undefined
    const channel = new RunChannel(context, await nameOf(rootOf(asked.epoch), event, options), options)
    // The window must not end before the reader is there.
    return await producers.noteReader(channel) && channel
  }

  async function start(source: SSEIterableSource): Promise<RunChannel> {
    const epoch = createEpoch(SECRET_LENGTH)
    const channel = new RunChannel(context, await nameOf(epoch, event, options), options)
    await producers.run(channel, ({ signal }) => {
      signal.addEventListener('abort', () => stopped.abort(signal.reason))
      return source
    }, { epoch, unreadMs: options.resumeWindowMs, event })
    return channel
  }

  return {
    connection: {
      push: (data, fields) => viewer.push(data, fields),
      comment: text => viewer.comment(text),
      close: () => viewer.close(),
      leave: retryMs => viewer.leave(retryMs),
      onClosed: callback => viewer.onClosed(callback),
      signal: stopped.signal,
      get closed() {
        return viewer.closed
      },
      get closeReason() {
        return viewer.closeReason
      },
    },

    async channelOf(source) {
      left.removeEventListener('abort', onLeave)
      let started = false
      try {
        const found = await find()
        if (found) return found
        if (request.older) return NO_RUN
        const channel = await start(source)
        started = true
        return channel
      }
      finally {
        if (!started) {
          stopped.abort()
          void release(iterate(source), report)
        }
      }
    },
  }
}

/** Channel of one client's run. A new client receives all of it, regardless of the handler's `from`. */
export class RunChannel extends Channel<unknown, SSEContext> {
  constructor(context: SSEContext, name: string, private readonly options: ResolvedHandlerOptions) {
    super(context, name, { retention: options.retention.named })
  }

  /**
   * Reports a reader's presence repeatedly, until the returned function is called. That function reports it a last time: the window begins
   * there.
   */
  attach(): () => void {
    // If the driver cannot be reached, the next report may reach it. If none does, the window ends, as for a reader that was cut off.
    const say = () => void this.context.producers.noteReader(this).catch(() => {})
    const timer = outside(() => unref(setInterval(say, this.options.resumeWindowMs / SIGNS_OF_LIFE)))
    return () => {
      clearInterval(timer)
      say()
    }
  }
}

/** Hashed, so that a path of any length fits, and hooks, which receive channel names, see no secret from a client's key. */
async function nameOf(epoch: string, event: H3Event, options: ResolvedHandlerOptions): Promise<string> {
  const [path] = pathOf(event).split('?')
  const bound = new TextEncoder().encode(JSON.stringify([path, ownKeyOf(event, options) ?? null]))
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bound))
  return `resumable:${epoch}:${Array.from(hash, byte => byte.toString(16).padStart(2, '0')).join('')}`
}
