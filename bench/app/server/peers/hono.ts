import { getRequestListener } from '@hono/node-server'
import { defineEventHandler } from 'h3'
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import type { SSEStreamingApi } from 'hono/streaming'
import { messages } from '../utils/bench-messages'
import type { Peer } from './peer'

const streams = new Set<SSEStreamingApi>()

const app = new Hono()
  .get('/stream/hono', context => streamSSE(context, async (stream) => {
    streams.add(stream)
    await stream.writeSSE({ data: 'hello' })
    await new Promise<void>(resolve => stream.onAbort(() => {
      streams.delete(stream)
      resolve()
    }))
  }))
  .get('/fast/hono', context => streamSSE(context, async (stream) => {
    for (const message of messages(context.req.query())) await stream.writeSSE({ data: JSON.stringify(message) })
  }))

const listener = getRequestListener(app.fetch)
const handle = defineEventHandler((event) => {
  event._handled = true
  void listener(event.node.req, event.node.res)
})

export const hono: Peer = {
  stream: handle,
  fast: handle,
  publish(all) {
    for (const message of all) {
      const data = JSON.stringify(message)
      for (const stream of streams) void stream.writeSSE({ data })
    }
  },
}
