import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import type { Readable } from 'node:stream'
import { freePort } from './built-server'
import { nitroOutput, rootDir } from './projects'
import type { RuntimeServer, RuntimeUnderTest } from './runtime-suite'

const running = new Set<RuntimeServer>()

/** Time limit for a process to stop. A process that never stops must fail its test, and must not remain. */
const STOP_DEADLINE_MS = 20_000

export async function stopRuntimes(): Promise<void> {
  await Promise.all([...running].map(server => server.stop()))
}

const bin = (name: string) => join(rootDir, 'node_modules/.bin', name)

async function startProcess(output: string, command: string[], env: Record<string, string>, serverDir = 'server'): Promise<RuntimeServer> {
  const port = await freePort()
  const child = spawn(command[0]!, [...command.slice(1), join(output, serverDir, 'index.mjs')], {
    // Nitro 3 logs nothing under TEST, and handles no signal under TEST or CI. Production has neither variable.
    env: { ...process.env, TEST: '', CI: '', NODE_ENV: 'production', HOST: '127.0.0.1', PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  await new Promise<void>((resolve, reject) => {
    const collect = (chunk: Buffer) => {
      text += chunk
      if (text.includes('Listening ')) resolve()
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    void exited.then(([code]) => reject(new Error(`The server ended with ${code} before it listened:\n${text}`)))
  })
  return added({
    url: `http://127.0.0.1:${port}`,
    output: () => text,
    async stop(...signals) {
      const started = performance.now()
      for (const signal of signals.length ? signals : ['SIGKILL' as const]) child.kill(signal)
      const deadline = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
      const [code, endedBy] = await exited
      clearTimeout(deadline)
      return { code, signal: endedBy, ms: performance.now() - started }
    },
  })
}

/** workerd, as Cloudflare runs it, under Miniflare. */
export async function startWorker(built: string, env: Record<string, string> = {}, compatibilityFlags = ['nodejs_compat', 'enable_request_signal']): Promise<RuntimeServer> {
  const { Log, LogLevel, Miniflare } = await import('miniflare')
  const dir = join(built, 'server')
  const files = (await readdir(dir, { recursive: true })).filter(name => name.endsWith('.mjs') && name !== 'index.mjs')
  let output = ''
  const worker = new Miniflare({
    host: '127.0.0.1',
    port: await freePort(),
    log: new Log(LogLevel.NONE),
    // Without this it sends a request to a server of Cloudflare.
    cf: false,
    bindings: env,
    rootPath: dir,
    modulesRoot: dir,
    modules: ['index.mjs', ...files].map(name => ({ type: 'ESModule' as const, path: join(dir, name) })),
    compatibilityDate: '2026-07-01',
    compatibilityFlags,
    handleRuntimeStdio(stdout: Readable, stderr: Readable) {
      for (const stream of [stdout, stderr]) stream.on('data', (chunk: Buffer) => output += chunk)
    },
  })
  const url = await worker.ready
  return added({
    url: url.href.slice(0, -1),
    output: () => output,
    async stop() {
      await worker.dispose()
      return { code: 0, signal: null, ms: 0 }
    },
  })
}

function added(server: RuntimeServer): RuntimeServer {
  const { stop } = server
  server.stop = (...signals) => {
    running.delete(server)
    return stop(...signals)
  }
  running.add(server)
  return server
}

const node = [process.execPath]

/** Application that Nitro built for `preset`, in `output`. */
export function startOn(preset: string, env: Record<string, string> = {}, output = nitroOutput(preset)): Promise<RuntimeServer> {
  switch (preset) {
    case 'node-cluster': return startProcess(output, node, { NITRO_CLUSTER_WORKERS: '2', ...env })
    case 'bun': return startProcess(output, [bin('bun'), 'run'], env)
    case 'deno-server': return startProcess(output, [bin('deno'), 'run', '--allow-all', '--no-prompt'], env)
    case 'node-listener': return startProcess(output, [...node, join(rootDir, 'test/support/express-launcher.mjs')], env)
    case 'vercel': return startProcess(output, [...node, join(rootDir, 'test/support/vercel-launcher.mjs')], env, 'functions/__fallback.func')
    case 'cloudflare-module': return startWorker(output, env)
    default: return startProcess(output, node, env)
  }
}

/** Application built for Node, in `output`. */
export const startIn = (output: string, env: Record<string, string> = {}): Promise<RuntimeServer> => startProcess(output, node, env)

export const describeOn = (preset: string, { memory = true, redis = true, signals = true, noticesPollLeft = 'close' }: Partial<RuntimeUnderTest>, outputOf = nitroOutput): RuntimeUnderTest =>
  ({ name: preset, start: env => startOn(preset, env, outputOf(preset)), envPrefix: 'NITRO', memory, redis, signals, noticesPollLeft })

export const runtimes = [
  describeOn('node-server', {}),
  // A process for each core. They share channels through Redis.
  describeOn('node-cluster', { memory: false }),
  // Nitro 2 does not forward signals there.
  describeOn('bun', { noticesPollLeft: 'never' }),
  describeOn('deno-server', { noticesPollLeft: 'never' }),
  // A function platform ends its processes. This server announces the end, and does not exit by itself.
  describeOn('vercel', { signals: false }),
  // No connection outlives a request, and the platform sends no signal.
  describeOn('cloudflare-module', { redis: false, signals: false, noticesPollLeft: 'reset' }),
]
