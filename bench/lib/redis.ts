import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Redis } from 'ioredis'

export interface BenchRedis {
  url: string
  /**
   * Counters of Redis: microseconds of CPU used, connected clients, commands sent by clients, commands run including those that scripts
   * call, and changes, including renewed expiries. `memory`: bytes of `used_memory`.
   */
  usage(): Promise<{ cpuUs: number, clients: number, sent: number, run: number, changes: number, memory: number }>
  stop(): Promise<void>
}

/** Starts a redis-server of the bench's own on `port`, in memory only. */
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
      const [info, stats] = [await admin.info(), await admin.info('commandstats')]
      const calls = (pattern: string) => [...stats.matchAll(new RegExp(`cmdstat_(?:${pattern}):calls=(\\d+)`, 'g'))].reduce((sum, [, count]) => sum + Number(count), 0)
      // A peer that runs scripts sends no other commands in relevant numbers; a peer without scripts sends each command itself.
      const scripts = calls('eval|evalsha')
      const run = calls('(?!info|ping|client|hello)[^:]+')
      return { cpuUs: 1e6 * (number(info, 'used_cpu_user') + number(info, 'used_cpu_sys')), clients: number(info, 'connected_clients') - 1, sent: scripts || run, run, changes: number(info, 'rdb_changes_since_last_save'), memory: number(info, 'used_memory') }
    },
    async stop() {
      admin.disconnect()
      child.kill('SIGKILL')
      await exited
    },
  }
}
