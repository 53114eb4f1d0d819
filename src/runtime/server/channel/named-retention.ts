import type { SSERetention } from '../options'
import { BoundedMap } from '../lib/bounded-map'

/** Retention that writers of this process have named, by channel, and whether the developer was warned of it. */
const named = new BoundedMap<string, { retention: Partial<SSERetention>, warned: boolean }>({ limit: 1_000 })

/**
 * Warns the developer, once for each channel, when two writers name different retentions: each write changes the channel's retention. For
 * development only.
 */
export function warnOfRetention(channel: string, retention: Partial<SSERetention>): void {
  const known = named.get(channel) ?? { retention: {}, warned: false }
  const field = (Object.keys(retention) as (keyof SSERetention)[]).find(name => known.retention[name] !== undefined && known.retention[name] !== retention[name])
  if (field && !known.warned) {
    console.warn(`[nuxt-sse] Channel \`${channel}\`: \`retention.${field}\` was ${known.retention[field]}, and another handle sets it to ${retention[field]}. The value of the latest writer applies. Set it in one place: a function that returns the handle.`)
    known.warned = true
  }
  Object.assign(known.retention, retention)
  named.set(channel, known)
}

/** Removes the entry of a deleted channel, which has no retention of its own any more. */
export function forgetRetention(channel: string): void {
  named.delete(channel)
}
