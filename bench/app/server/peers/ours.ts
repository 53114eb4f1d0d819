import { getQuery } from 'h3'
import { defineSSEHandler, useSSEChannel } from '#sse/server'
import { messages } from '../utils/bench-messages'
import type { Peer } from './peer'

const channel = useSSEChannel('bench')

export const ours: Peer = {
  stream: defineSSEHandler(() => channel, { from: 'now' }),
  fast: defineSSEHandler(async function* (event) {
    yield* messages(getQuery(event))
  }),
  publish: all => Promise.all(all.map(message => channel.publish(message))),
}
