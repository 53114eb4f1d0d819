import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

export interface CompletionsApi {
  /** For `OPENAI_BASE_URL`. */
  url: string
  /** Number of requests. */
  asked: number
  /** Number of requests that were cancelled before their end. */
  cancelled: number
  close(): Promise<void>
}

const chunk = (content: string) => `data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content } }] })}\n\n`

/**
 * Local stand-in for an OpenAI-compatible API: ten words, one every 10 ms, then `[DONE]`. A prompt with "much" has 2,000 words. With "fail" the
 * request is refused, and with "cut" the connection breaks after the first word.
 */
export async function startCompletionsApi(): Promise<CompletionsApi> {
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    api.asked++
    const { messages, stream } = JSON.parse(Buffer.concat(parts).toString()) as { messages: { content: string }[], stream: boolean }
    const [{ content }] = messages as [{ content: string }]
    if (request.url !== '/v1/chat/completions' || !stream || content.includes('fail')) return void response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":{"message":"Incorrect API key: sk-secret"}}')
    response.on('close', () => response.writableFinished || api.cancelled++)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    await write(response, content)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const api: CompletionsApi = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked: 0,
    cancelled: 0,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return api
}

async function write(response: ServerResponse, content: string): Promise<void> {
  for (let n = 1; n <= (content.includes('much') ? 2_000 : 10); n++) {
    if (response.destroyed) return
    response.write(chunk(`word${n} `))
    await wait(10)
    if (content.includes('cut')) return void response.destroy()
  }
  response.end('data: [DONE]\n\n')
}
