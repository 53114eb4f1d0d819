import { createChannel, createSession } from 'better-sse'
import type { EventStream } from 'h3'
import { createEventStream, defineEventHandler, readBody } from 'h3'
import type { TestServer } from '../../support/sse-server'
import { startSSEServer } from '../../support/sse-server'

/** One feed, written in the style of each library, on the same server. */
export interface ServerPeer {
  /** `GET`: the feed, from its start where that can be. */
  path: string
  publish(data: string, id: string): unknown
  /** Sends to the one reader that there is, as fast as the library allows. */
  push(data: string): unknown
  /** Readers that the library knows of. */
  readonly size: number
  /** `POST` with a body that the route reads first: the number of disconnects that were noticed. */
  readonly noticed: number
}

export interface Peers {
  server: TestServer
  ours: ServerPeer
  h3: ServerPeer
  betterSse: ServerPeer
  close(): Promise<void>
}

export async function startPeers(): Promise<Peers> {
  const server = await startSSEServer({ retryMs: 100 })
  return { server, ours: ours(server), h3: h3(server), betterSse: betterSse(server), close: () => server.close() }
}

function ours(server: TestServer): ServerPeer {
  const channel = server.channel<string>('feed')
  let pushTo = (_data: string): unknown => undefined
  let noticed = 0
  server.route('/ours', () => channel)
  server.route('/ours-pushed', (_event, connection) => {
    pushTo = data => connection.push(data)
  })
  server.route('/ours-posted', async (event, connection) => {
    await readBody(event)
    connection.onClosed(() => noticed++)
  })
  return {
    path: '/ours',
    publish: data => channel.publish(data),
    push: data => pushTo(data),
    get size() {
      return server.context.connections.size
    },
    get noticed() {
      return noticed
    },
  }
}

function h3(server: TestServer): ServerPeer {
  const streams = new Set<EventStream>()
  let noticed = 0
  server.use('/h3', defineEventHandler((event) => {
    const stream = createEventStream(event)
    streams.add(stream)
    stream.onClosed(() => streams.delete(stream))
    return stream.send()
  }))
  server.use('/h3-posted', defineEventHandler(async (event) => {
    await readBody(event)
    const stream = createEventStream(event)
    streams.add(stream)
    stream.onClosed(() => noticed++)
    // Without a message not even its headers would leave.
    void stream.push('open')
    return stream.send()
  }))
  return {
    path: '/h3',
    publish: (data, id) => Promise.all([...streams].map(stream => stream.push({ data, id }))),
    push: data => [...streams][0]!.push(data),
    get size() {
      return streams.size
    },
    get noticed() {
      return noticed
    },
  }
}

function betterSse(server: TestServer): ServerPeer {
  const channel = createChannel()
  let noticed = 0
  server.use('/better-sse', defineEventHandler(async (event) => {
    event._handled = true
    channel.register(await createSession(event.node.req, event.node.res))
  }))
  server.use('/better-sse-posted', defineEventHandler(async (event) => {
    await readBody(event)
    event._handled = true
    const session = await createSession(event.node.req, event.node.res)
    session.once('disconnected', () => noticed++)
  }))
  return {
    path: '/better-sse',
    publish: (data, eventId) => channel.broadcast(data, 'message', { eventId }),
    push: data => channel.activeSessions[0]!.push(data),
    get size() {
      return channel.sessionCount
    },
    get noticed() {
      return noticed
    },
  }
}
