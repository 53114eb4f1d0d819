import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { Cluster, Redis } from 'ioredis'
import { vi } from 'vitest'
import { freePort } from './built-server'
import { eventually } from './conditions'

const running = new Set<TestRedis>()

/** A separate redis-server on a free port. Stores nothing on disk unless `args` request it. */
export class TestRedis {
  #process?: ChildProcess

  private constructor(readonly port: number, private readonly dir: string, private readonly args: string[]) {}

  static async start({ port, args = [] }: { port?: number, args?: string[] } = {}): Promise<TestRedis> {
    port ??= await freePort()
    const dir = await mkdtemp(join(tmpdir(), 'sse-redis-'))
    return TestRedis.#run(new TestRedis(port, dir, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', dir, ...args]))
  }

  /** A Sentinel, which watches other servers and names their primary. */
  static async startSentinel(lines: string[]): Promise<TestRedis> {
    const port = await freePort()
    const dir = await mkdtemp(join(tmpdir(), 'sse-sentinel-'))
    const config = join(dir, 'sentinel.conf')
    await writeFile(config, [`port ${port}`, 'bind 127.0.0.1', `dir ${dir}`, ...lines].join('\n'))
    return TestRedis.#run(new TestRedis(port, dir, [config, '--sentinel']))
  }

  static async #run(redis: TestRedis): Promise<TestRedis> {
    running.add(redis)
    await redis.start()
    return redis
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.#process!.pid!
  }

  /** Starts again after {@link kill}, with the data on disk. */
  async start(): Promise<void> {
    const child = this.#process = spawn('redis-server', this.args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout!.on('data', chunk => output += chunk)
    child.stderr!.on('data', chunk => output += chunk)
    await vi.waitFor(() => new Promise<void>((resolve, reject) => {
      if (child.exitCode !== null) throw new Error(`redis-server ended:\n${output}`)
      const socket = createConnection(this.port, '127.0.0.1', () => socket.end('PING\r\n'))
      socket.on('data', (data) => {
        if (data.toString().startsWith('-LOADING')) reject(new Error('It loads.'))
        else resolve()
      })
      socket.on('error', reject)
    }), { timeout: 45_000, interval: 10 })
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process!
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  /** Deletes the data on disk, but keeps the membership in a cluster. */
  async wipe(): Promise<void> {
    for (const name of await readdir(this.dir)) if (name !== 'nodes.conf') await rm(join(this.dir, name), { recursive: true })
  }

  /** Behaves like a machine that hangs: connections stay open without answers. */
  pause(): void {
    process.kill(this.pid, 'SIGSTOP')
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT')
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.dir, { recursive: true, force: true })
    running.delete(this)
  }
}

export const startRedis = TestRedis.start

/** One form of running Redis, with the settings for an application. */
export interface TestTopology {
  /** Environment of a server. */
  env: Record<string, string>
  nodes: TestRedis[]
  /** Connects to the current node of `channel`. The caller disconnects. */
  admin(channel: string): Promise<Redis>
  /** Resolves when all nodes accept writes. */
  ready(): Promise<void>
  stop(): Promise<void>
}

/** A Redis that replaces a lost primary. */
export interface ReplicatedTopology extends TestTopology {
  /** The current node of `channel`. */
  primaryOf(channel: string): Promise<TestRedis>
}

// Writes survive `kill -9` of the process, not of the machine. A slow disk must not matter: during an fsync, `everysec` delays
// writes that Redis has already acknowledged.
const AOF = ['--appendonly', 'yes', '--appendfsync', 'no']

export async function startSingle(): Promise<TestTopology> {
  const redis = await startRedis({ args: AOF })
  return {
    env: { NUXT_SSE_REDIS_URL: redis.url },
    nodes: [redis],
    admin: async () => connected(redis.url),
    ready: async () => {},
    stop: () => redis.stop(),
  }
}

/** Files of a key and a self-signed certificate for `localhost`. */
export interface TestCertificate {
  key: string
  cert: string
}

/** Arguments for a redis-server with TLS on `port`, also between nodes. */
export function tlsArgs(port: number, { key, cert }: TestCertificate): string[] {
  return ['--tls-port', String(port), '--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert, '--tls-auth-clients', 'no', '--tls-replication', 'yes']
}

export async function createCertificate(dir: string): Promise<TestCertificate> {
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  await promisify(execFile)('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'])
  return { key, cert }
}

/**
 * Three primaries that use TLS with clients and with each other, and announce themselves as `localhost`. `urls` are their TLS URLs.
 */
export async function startTlsCluster(certificate: TestCertificate): Promise<TestTopology & { urls: string[] }> {
  const tlsPorts: number[] = []
  const topology = await startCluster({
    async argsOf() {
      const port = await freePort()
      tlsPorts.push(port)
      return [...tlsArgs(port, certificate), '--tls-cluster', 'yes', '--cluster-announce-hostname', 'localhost', '--cluster-preferred-endpoint-type', 'hostname']
    },
  })
  return { ...topology, urls: tlsPorts.map(port => `rediss://localhost:${port}`) }
}

/** Three primaries, each with `replicas`. A node is replaced when it has been down for `nodeTimeoutMs`. `argsOf` adds arguments for each node. */
export async function startCluster({ replicas = 0, nodeTimeoutMs = 15_000, argsOf = async (): Promise<string[]> => [] } = {}): Promise<ReplicatedTopology> {
  const nodes = await Promise.all(Array.from({ length: 3 * (1 + replicas) }, async () => {
    const args = ['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--cluster-port', String(await freePort()), '--cluster-node-timeout', String(nodeTimeoutMs), '--cluster-require-full-coverage', 'no']
    return startRedis({ args: [...AOF, ...args, ...await argsOf()] })
  }))
  const admins = await Promise.all(nodes.map(({ url }) => connected(url)))
  const ids = await Promise.all(admins.map(admin => admin.cluster('MYID')))
  for (const [index, admin] of admins.entries()) await admin.cluster('SET-CONFIG-EPOCH', index + 1)
  const ranges = [[0, 5_460], [5_461, 10_922], [10_923, 16_383]] as const
  for (const [index, [from, to]] of ranges.entries()) await admins[index]!.call('CLUSTER', 'ADDSLOTSRANGE', from, to)
  const busPorts = await Promise.all(admins.map(async admin => Number((await admin.config('GET', 'cluster-port') as string[])[1])))
  for (const index of nodes.keys()) await admins[0]!.call('CLUSTER', 'MEET', '127.0.0.1', nodes[index]!.port, busPorts[index]!)
  const every = (text: string) => vi.waitFor(async () => {
    for (const { url } of nodes) {
      const admin = await connected(url)
      const info = await admin.cluster('INFO') as unknown as string
      admin.disconnect()
      if (!info.includes(text)) throw new Error(`${text} expected:\n${info}`)
    }
  }, { timeout: 45_000, interval: 20 })
  await every(`cluster_known_nodes:${nodes.length}`)
  for (let index = 3; index < nodes.length; index++) {
    await eventually(() => admins[index]!.cluster('REPLICATE', ids[index % 3] as string))
  }
  await every('cluster_state:ok')
  for (const admin of admins.slice(3)) await linked(admin)
  for (const admin of admins) admin.disconnect()

  const primaryOf = async (channel: string) => {
    const cluster = new Cluster(nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
    try {
      await once(cluster, 'ready')
      const slot = await cluster.cluster('KEYSLOT', `{${channel}}`)
      return nodes.find(({ port }) => cluster.slots[Number(slot)]![0] === `127.0.0.1:${port}`)!
    }
    finally {
      cluster.disconnect()
    }
  }
  return {
    env: { NUXT_SSE_REDIS_URL: nodes.map(({ url }) => url).join(), NUXT_SSE_REDIS_CLUSTER: 'true' },
    nodes,
    primaryOf,
    admin: async channel => connected((await primaryOf(channel)).url),
    ready: async () => void await every('cluster_state:ok'),
    stop: async () => void await Promise.all(nodes.map(node => node.stop())),
  }
}

/** A primary, a replica, and a Sentinel that promotes the replica when the primary has been down for two seconds. */
export async function startSentinel(): Promise<ReplicatedTopology> {
  const first = await startRedis({ args: AOF })
  const second = await startRedis({ args: [...AOF, '--replicaof', '127.0.0.1', String(first.port)] })
  const replica = await connected(second.url)
  await linked(replica)
  replica.disconnect()
  const sentinel = await TestRedis.startSentinel([
    `sentinel monitor main 127.0.0.1 ${first.port} 1`,
    'sentinel down-after-milliseconds main 2000',
    'sentinel failover-timeout main 5000',
  ])
  const primaryOf = async () => {
    const asked = await connected(sentinel.url)
    const [, at] = await asked.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main') as string[]
    asked.disconnect()
    return [first, second].find(({ port }) => port === Number(at))!
  }
  return {
    env: { NUXT_SSE_REDIS_URL: sentinel.url, NUXT_SSE_REDIS_SENTINEL: 'main' },
    nodes: [first, second],
    primaryOf,
    admin: async () => connected((await primaryOf()).url),
    ready: async () => {},
    stop: async () => void await Promise.all([sentinel, first, second].map(redis => redis.stop())),
  }
}

/** Resolves when a replica has the data of its primary. */
async function linked(replica: Redis): Promise<void> {
  await vi.waitFor(async () => {
    if (!(await replica.info('replication')).includes('master_link_status:up')) throw new Error('The replica is not there yet.')
  }, { timeout: 45_000, interval: 20 })
}

async function connected(url: string): Promise<Redis> {
  const client = new Redis(url, { lazyConnect: true })
  await client.connect()
  return client
}

/** Stops all servers that a test started. For afterAll. */
export async function stopRedis(): Promise<void> {
  await Promise.all([...running].map(redis => redis.stop()))
}
