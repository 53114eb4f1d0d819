import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

export interface Usage {
  cpuUs: number
  userUs: number
  systemUs: number
  rss: number
  heapUsed: number
  external: number
  arrayBuffers: number
}

export interface Publishing {
  peer: string
  ticks: number
  perTick: number
  intervalMs: number
  bytes?: number
}

export interface BenchServer {
  port: number
  usage(options?: { gc?: boolean }): Promise<Usage>
  publish(options: Publishing): Promise<{ ms: number }>
  /** Sends any other request of a row to the app. */
  post<T>(path: string, body: object): Promise<T>
  stop(): Promise<void>
}

const ENTRY = fileURLToPath(new URL('../app/.output/server/index.mjs', import.meta.url))
/** Directory for the profiles of `--cpu-prof`, if set. */
const { BENCH_PROFILE } = process.env

/** Starts a process of the built app. */
export async function startServer(env: Record<string, string> = {}): Promise<BenchServer> {
  const port = await freePort()
  const flags = ['--expose-gc', ...BENCH_PROFILE ? ['--cpu-prof', `--cpu-prof-dir=${BENCH_PROFILE}`] : []]
  const child = spawn(process.execPath, [...flags, ENTRY], {
    env: { ...process.env, NODE_ENV: 'production', HOST: '127.0.0.1', PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  await Promise.race([once(child.stdout, 'data'), exited.then(([code]) => {
    throw new Error(`The server ended with ${code} before it listened.`)
  })])
  child.stdout.resume()
  const ask = async (path: string, init?: RequestInit) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { ...init, headers: { 'connection': 'close', 'content-type': 'application/json' } })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return response.status === 204 ? undefined : response.json()
  }
  return {
    port,
    usage: ({ gc } = {}) => ask(`/usage${gc ? '?gc=1' : ''}`),
    post: (path, body) => ask(path, { method: 'POST', body: JSON.stringify(body) }),
    publish: options => ask('/publish', { method: 'POST', body: JSON.stringify(options) }),
    async stop() {
      if (BENCH_PROFILE) await ask('/exit', { method: 'POST' })
      else child.kill('SIGKILL')
      await exited
    },
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
