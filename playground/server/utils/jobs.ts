import { spawn } from 'node:child_process'
import process from 'node:process'

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/

/** Channel of an existing job. Throws 404 for any other ID. */
export async function requireJob(id: unknown) {
  const channel = typeof id === 'string' && UUID.test(id) && jobChannel(id)
  if (!channel || (await channel.info()).lastOffset === 0) {
    throw createError({ statusCode: 404, message: 'There is no such job here. The server that ran it may have stopped.' })
  }
  return channel
}

/** Runs a job in a separate process, which publishes its progress through Redis. Returns the ID of the process. */
export function startWorker(id: string): number | undefined {
  const worker = spawn(process.execPath, [useRuntimeConfig().worker, id], { stdio: ['ignore', 'ignore', 'inherit'] })
  worker.once('error', () => void fail())
  worker.once('exit', code => code !== 0 && void fail())
  /** A killed worker cannot report it. Without this, its lease does, within two lease times. */
  async function fail(): Promise<void> {
    await jobChannel(id).fail(new SSEError('WORKER_STOPPED', 'The worker stopped before the job was complete.')).catch(() => {})
  }
  return worker.pid
}
