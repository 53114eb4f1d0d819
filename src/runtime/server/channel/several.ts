import { SSEError, printValue } from '../../shared/errors'
import type { SSEMessage, SSEStream } from '../../shared/types'
import { kindOf } from '../lib/source'
import { Channel } from './channel'

/** Messages of one of several channels: `channel` is its key. */
type Keyed<Key, Source> = Source extends SSEStream<infer M> ? M extends SSEMessage ? M & { channel: Key } : never : never

/** Messages of several channels, discriminated by `channel`. */
export type SSEMessageOfChannels<Channels> = { [Key in keyof Channels & string]: Keyed<Key, Channels[Key]> }[keyof Channels & string]

/** Several channels for one connection, to be returned from `defineSSEHandler`. */
export interface SSEChannels<C extends Record<string, SSEStream> = Record<string, SSEStream>> extends SSEStream<SSEMessageOfChannels<C>> {
  readonly channels: Readonly<C>
}

const MAX_CHANNELS = 32
const KEY_PATTERN = /^[a-z]\w{0,31}$/i
/** Names of control messages, and of the events that every `EventSource` has. */
const RESERVED_KEYS = ['sse', 'open', 'error', 'message']

/** Implementation of {@link SSEChannels}. The rest of the server recognises several channels by this class. */
export class Channels implements SSEStream {
  declare readonly __sse: SSEMessage
  readonly channels: Readonly<Record<string, Channel>>

  constructor(channels: Readonly<Record<string, unknown>>) {
    if (typeof channels !== 'object' || channels === null || channels instanceof Channel || Array.isArray(channels)) throw refused('an object with a channel for each key', kindOf(channels))
    const keys = Object.keys(channels)
    if (keys.length < 1 || keys.length > MAX_CHANNELS) throw refused(`an object with 1 to ${MAX_CHANNELS} keys`, `${keys.length}`)
    const known = new Map<string, string>()
    for (const key of keys) {
      if (!KEY_PATTERN.test(key)) throw refused('keys of a letter and up to 31 letters, digits and `_`', printValue(key))
      if (RESERVED_KEYS.includes(key)) throw refused(`no key ${RESERVED_KEYS.map(name => `\`${name}\``).join(', ')}`, printValue(key))
      const other = known.get(key.toLowerCase())
      if (other !== undefined) throw refused('keys that differ in more than case', `${printValue(other)} and ${printValue(key)}`)
      known.set(key.toLowerCase(), key)
      if (!(channels[key] instanceof Channel)) throw new SSEError('INVALID_OPTION', `Expected \`channels.${key}\` to be a channel, got ${kindOf(channels[key])}.`)
    }
    this.channels = Object.freeze({ ...channels as Record<string, Channel> })
  }
}

/** Source that clients read by position. */
export type ChannelSource = Channel | Channels

export function isChannelSource(value: unknown): value is ChannelSource {
  return value instanceof Channel || value instanceof Channels
}

/** Channels of a source with their keys; one channel alone has none. */
export function channelsOf(source: ChannelSource): [key: string | undefined, channel: Channel][] {
  return source instanceof Channel ? [[undefined, source]] : Object.entries(source.channels)
}

function refused(expected: string, got: string): SSEError {
  return new SSEError('INVALID_OPTION', `Expected \`channels\` to be ${expected.startsWith('an ') ? '' : 'an object with '}${expected}, got ${got}.`)
}
