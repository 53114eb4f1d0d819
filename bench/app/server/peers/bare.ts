import type { ServerResponse } from 'node:http'
import { once } from 'node:events'
import { defineEventHandler, getQuery } from 'h3'
import type { H3Event } from 'h3'
import { messages } from '../utils/bench-messages'
import type { Peer } from './peer'

const responses = new Set<ServerResponse>()

function begin(event: H3Event): ServerResponse {
  const { res } = event.node
  event._handled = true
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  res.write('retry: 2000\n\n')
  return res
}

/** Naive loop: one text for all readers, one `res.write` for each. */
export const bare: Peer = {
  stream: defineEventHandler((event) => {
    const res = begin(event)
    responses.add(res)
    res.on('close', () => responses.delete(res))
  }),
  fast: defineEventHandler(async (event) => {
    const res = begin(event)
    for (const message of messages(getQuery(event))) {
      if (res.destroyed) return
      if (!res.write(`data: ${JSON.stringify(message)}\n\n`)) await once(res, 'drain')
    }
    res.end()
  }),
  publish(all) {
    for (const message of all) {
      const text = `data: ${JSON.stringify(message)}\n\n`
      for (const res of responses) res.write(text)
    }
  },
}
