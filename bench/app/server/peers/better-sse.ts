import { createChannel, createSession } from 'better-sse'
import { defineEventHandler, getQuery } from 'h3'
import { messages } from '../utils/bench-messages'
import type { Peer } from './peer'

const channel = createChannel()

export const betterSse: Peer = {
  stream: defineEventHandler(async (event) => {
    event._handled = true
    channel.register(await createSession(event.node.req, event.node.res))
  }),
  fast: defineEventHandler(async (event) => {
    event._handled = true
    const { req, res } = event.node
    const session = await createSession(req, res)
    // better-sse has no back pressure: `iterate` would hold everything in memory.
    for (const message of messages(getQuery(event))) {
      session.push(message)
      if (res.writableNeedDrain) await new Promise(resolve => res.once('drain', resolve))
    }
    res.end()
  }),
  publish(all) {
    for (const message of all) channel.broadcast(message)
  },
}
