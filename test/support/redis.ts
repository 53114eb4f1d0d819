import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { vi } from 'vitest'
import { freePort } from './built-server'

export interface TestRedis {
  url: string
  port: number
  pid: number
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** A Redis of our own on a free port, in memory only. */
export async function startRedis({ port, args = [] }: { port?: number, args?: string[] } = {}): Promise<TestRedis> {
  port ??= await freePort()
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...args], { stdio: 'ignore' })
  const exited = once(child, 'exit')
  await vi.waitFor(() => new Promise<void>((resolve, reject) => {
    const socket = createConnection(port, '127.0.0.1', () => socket.end('PING\r\n'))
    socket.on('data', () => resolve())
    socket.on('error', reject)
  }), { timeout: 5_000, interval: 10 })
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid: child.pid!,
    async stop(signal = 'SIGKILL') {
      child.kill(signal)
      await exited
    },
  }
}
