import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { projects } from './projects'

export interface BuiltServer {
  url: string
  port: number
  pid: number
  /** Whether its process has not exited. */
  readonly isRunning: boolean
  /** Output to stdout and stderr so far. */
  output(): string
  /** Sends the signals, or SIGKILL without any, and resolves with the exit of the process. */
  stop(...signals: NodeJS.Signals[]): Promise<{ code: number | null, signal: NodeJS.Signals | null, ms: number }>
}

/** Below the ports of outgoing connections (from 32768 on Linux), which can be taken before a server listens, and above 10080, which `fetch` refuses. */
export async function freePort(): Promise<number> {
  while (true) {
    const port = 10_100 + Math.floor(Math.random() * 22_000)
    const server = createServer()
    const { promise, resolve } = Promise.withResolvers<boolean>()
    server.on('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
    if (!await promise) continue
    server.close()
    await once(server, 'close')
    return port
  }
}

const running = new Set<BuiltServer>()

/** Starts a built application as in production, and waits until it listens. */
export async function startBuiltServer(project: keyof typeof projects | { dir: string }, { port, env = {} }: { port?: number, env?: Record<string, string> } = {}): Promise<BuiltServer> {
  port ??= await freePort()
  const child = spawn(process.execPath, [join(typeof project === 'string' ? projects[project] : project.dir, '.output/server/index.mjs')], {
    // Nitro 3 logs nothing under TEST, and handles no signal under TEST or CI. Production has neither variable.
    env: { ...process.env, TEST: '', CI: '', NODE_ENV: 'production', HOST: '127.0.0.1', PORT: String(port), DATABASE: ':memory:', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  await new Promise<void>((resolve, reject) => {
    const collect = (chunk: Buffer) => {
      output += chunk
      if (output.includes('Listening on')) resolve()
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    void exited.then(([code]) => reject(new Error(`The server ended with ${code} before it listened:\n${output}`)))
  })
  const server: BuiltServer = {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: child.pid!,
    get isRunning() {
      return running.has(server)
    },
    output: () => output,
    async stop(...signals) {
      const started = performance.now()
      for (const signal of signals.length ? signals : ['SIGKILL' as const]) child.kill(signal)
      const [code, endedBy] = await exited
      running.delete(server)
      return { code, signal: endedBy, ms: performance.now() - started }
    },
  }
  running.add(server)
  return server
}

/** Stops all servers that a test started. For afterEach and afterAll. */
export async function stopBuiltServers(): Promise<void> {
  await Promise.all([...running].map(server => server.stop()))
}
