// Common to the scripts that make pictures: the built playground, and Chromium.
import { execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const ENTRY = fileURLToPath(new URL('.output/server/index.mjs', import.meta.url))

export async function startServer() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  // Secrets that seal sign-ins, for as long as this runs.
  const secrets = { NUXT_SESSION_PASSWORD: randomUUID(), NUXT_SSE_TICKET_SECRET: randomUUID() }
  const server = spawn(process.execPath, [ENTRY], { env: { ...process.env, ...secrets, NODE_ENV: 'production', HOST: '127.0.0.1', PORT: String(port) }, stdio: ['ignore', 'pipe', 'inherit'] })
  await once(server.stdout, 'data')
  server.stdout.resume()
  return { url: `http://127.0.0.1:${port}`, server }
}

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM_PATH || execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim(),
    args: ['--no-sandbox', '--disable-gpu'],
  })
}
