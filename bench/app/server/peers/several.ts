import { defineSSEHandler, useSSEChannel, useSSEChannels } from '#sse/server'
import type { Peer } from './peer'

const KEYS = Array.from({ length: 8 }, (_, index) => `channel${index}`)
const channels = KEYS.map(key => useSSEChannel(`bench ${key}`))
let next = 0

/** Messages of `ours`, on 8 channels in turn. */
export const several: Peer = {
  stream: defineSSEHandler(() => useSSEChannels(Object.fromEntries(KEYS.map((key, index) => [key, channels[index]!]))), { from: 'now' }),
  publish: all => Promise.all(all.map(message => channels[next++ % channels.length]!.publish(message))),
}

const flood = useSSEChannel('bench flood')
const quiet = useSSEChannel('bench quiet')
/** Without the mark that readers count. */
const FLOOD = { text: 'x'.repeat(1_000) }
/** Messages on the flooded channel for each on the quiet one. */
const FLOOD_MESSAGES = 20

/** A quiet channel. */
export const quietAlone: Peer = {
  stream: defineSSEHandler(() => useSSEChannels({ quiet }), { from: 'now' }),
  publish: all => Promise.all(all.map(message => quiet.publish(message))),
}

/** A quiet channel on a connection with one that is flooded. */
export const quietBeside: Peer = {
  stream: defineSSEHandler(() => useSSEChannels({ flood, quiet }), { from: 'now' }),
  publish: async (all) => {
    for (let n = 0; n < FLOOD_MESSAGES; n++) void flood.publish(FLOOD)
    await Promise.all(all.map(message => quiet.publish(message)))
  },
}
