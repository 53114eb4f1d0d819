import type { EventStream } from 'h3'
import { createEventStream, defineEventHandler, getQuery } from 'h3'
import { messages } from '../utils/bench-messages'
import type { Peer } from './peer'

const streams = new Set<EventStream>()

export const h3: Peer = {
  stream: defineEventHandler((event) => {
    const stream = createEventStream(event)
    streams.add(stream)
    stream.onClosed(() => streams.delete(stream))
    // h3 sends the headers with the first event.
    void stream.push('hello')
    return stream.send()
  }),
  fast: defineEventHandler((event) => {
    const stream = createEventStream(event)
    const produce = async () => {
      let count = 0
      for (const message of messages(getQuery(event))) {
        await stream.push(JSON.stringify(message))
        // h3 has no back pressure, and awaiting a push takes only microtasks: without a turn no byte would leave the process.
        if (++count % 64 === 0) await new Promise(setImmediate)
      }
      await stream.close()
    }
    void produce()
    return stream.send()
  }),
  publish(all) {
    for (const message of all) {
      const data = JSON.stringify(message)
      for (const stream of streams) void stream.push(data)
    }
  },
}
