import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestProject } from 'vitest/node'
import type { Exchange, ScriptedServer } from './scripted-server'
import { startScriptedServer } from './scripted-server'

declare module 'vitest' {
  interface ProvidedContext { controlUrl: string }
}

/** A page's command for an exchange: `['response', 'write'], ['text']`. Bytes are `{ bytes: [1, 2] }`. */
export interface Act { exchange: number, path: string[], args: unknown[], told?: number }

/** Reports to a page, one event each. */
export type Told
  = | { type: 'exchange', server: number, exchange: number, url: string, method: string, headers: Record<string, string>, body: string }
    | { type: 'closed', exchange: number }
    | { type: 'done', told: number }

/** Scripted servers for tests in a browser, which cannot listen on sockets. The other half is remote-scripted-server.ts. */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const servers = new Map<number, ScriptedServer>()
  const exchanges = new Map<number, Exchange>()
  const pages = new Set<ServerResponse>()
  let number = 0

  const tell = (told: Told) => {
    for (const page of pages) page.write(`data: ${JSON.stringify(told)}\n\n`)
  }

  async function start(): Promise<{ id: number, url: string }> {
    const id = ++number
    const server = await startScriptedServer({ cors: true })
    servers.set(id, server)
    server.script((exchange) => {
      const own = ++number
      exchanges.set(own, exchange)
      const { request: { url, method, headers }, response, body } = exchange
      response.on('close', () => tell({ type: 'closed', exchange: own }))
      tell({ type: 'exchange', server: id, exchange: own, url: url!, method: method!, headers: headers as Record<string, string>, body })
    })
    return { id, url: server.url }
  }

  function act({ exchange, path, args, told }: Act): void {
    const name = path.at(-1)!
    const target = path.slice(0, -1).reduce<object | undefined>((value, key) => (value as Record<string, object>)?.[key], exchanges.get(exchange)) as Record<string, (...args: unknown[]) => unknown> | undefined
    const values = args.map(value => (value as { bytes?: number[] } | null)?.bytes ? Uint8Array.from((value as { bytes: number[] }).bytes) : value)
    if (told === undefined) target?.[name]!(...values)
    else target?.[name]!(...values, () => tell({ type: 'done', told }))
  }

  const control = createServer(async (request, response) => {
    response.setHeader('access-control-allow-origin', '*')
    if (request.url === '/told') {
      // Firefox waits for bytes.
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n\n')
      pages.add(response)
      response.on('close', () => pages.delete(response))
      return
    }
    let text = ''
    for await (const chunk of request) text += chunk
    const asked = JSON.parse(text) as { start: true } | { stop: number } | { acts: Act[] }
    if ('acts' in asked) for (const one of asked.acts) act(one)
    if ('stop' in asked) await servers.get(asked.stop)?.close()
    response.end(JSON.stringify('start' in asked ? await start() : null))
  })
  await new Promise<void>(resolve => control.listen(0, '127.0.0.1', resolve))
  provide('controlUrl', `http://127.0.0.1:${(control.address() as AddressInfo).port}`)
  return async () => {
    for (const server of servers.values()) await server.close()
    control.closeAllConnections()
    await new Promise(resolve => control.close(resolve))
  }
}
