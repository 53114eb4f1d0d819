import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Redis } from 'ioredis'

export interface BenchRedis {
  url: string
  /** Seconds of CPU that it has used, and how many clients it has. */
  usage(): Promise<{ cpuUs: number, clients: number }>
  stop(): Promise<void>
}

/** A redis-server of our own on `port`, in memory only. */
export async function startRedis(port: number): Promise<BenchRedis> {
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { stdio: 'ignore' })
  const exited = once(child, 'exit')
  const url = `redis://127.0.0.1:${port}`
  const admin = new Redis(url, { retryStrategy: () => 20 })
  admin.on('error', () => {})
  await admin.ping()
  const number = (info: string, field: string) => Number(new RegExp(`${field}:([\\d.]+)`).exec(info)![1])
  return {
    url,
    async usage() {
      const info = await admin.info()
      return { cpuUs: 1e6 * (number(info, 'used_cpu_user') + number(info, 'used_cpu_sys')), clients: number(info, 'connected_clients') - 1 }
    },
    async stop() {
      admin.disconnect()
      child.kill('SIGKILL')
      await exited
    },
  }
}
