// Runs the built playground as in production: two instances on one Redis, on one port. Kill one of them (by the button on each page,
// or by its process ID, which is printed) and watch the pages: no message is lost. `npm run dev:cluster`;
// NUXT_SSE_REDIS_URL names your own Redis, otherwise one is started; PORT defaults to 3000.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const INSTANCES = 2
const RESTART_MS = 1_000
const ENTRY = fileURLToPath(new URL('.output/server/index.mjs', import.meta.url))
const { PORT = '3000', HOST = '127.0.0.1', NUXT_SSE_REDIS_URL } = process.env
/** Shared by all instances: each verifies what another has signed. */
const SECRETS = { NUXT_SESSION_PASSWORD: secret(), NUXT_SSE_TICKET_SECRET: secret() }

const children = new Set()
let ending = false

const url = NUXT_SSE_REDIS_URL || await startRedis()
const ports = await Promise.all(Array.from({ length: INSTANCES }, freePort))
await Promise.all(ports.map((port, index) => startInstance(index + 1, port)))

let turn = 0
const front = createServer({ noDelay: true }, client => forward(client, ports.length))
front.listen(Number(PORT), HOST, () => console.log(`Listening on http://${HOST}:${PORT}, ${INSTANCES} instances on ${url.replace(/\/\/[^@/]*@/, '//')}`))

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, end)

/** Forwards each connection to the next instance that accepts it. */
function forward(client, left) {
  const upstream = connect({ port: ports[turn++ % ports.length], host: '127.0.0.1', noDelay: true })
  client.on('error', () => upstream.destroy())
  client.on('close', () => upstream.destroy())
  upstream.once('connect', () => {
    upstream.on('close', () => client.destroy())
    client.pipe(upstream).pipe(client)
  })
  upstream.on('error', () => {
    if (upstream.connecting && left > 1 && !client.destroyed) forward(client, left - 1)
    else client.destroy()
  })
}

async function startInstance(number, port) {
  const child = spawn(process.execPath, [ENTRY], { env: { ...SECRETS, ...process.env, PLAYGROUND_CLUSTER: '1', HOST: '127.0.0.1', PORT: String(port), NUXT_SSE_REDIS_URL: url }, stdio: ['ignore', 'pipe', 'inherit'] })
  children.add(child)
  child.on('exit', () => {
    children.delete(child)
    if (ending) return
    console.log(`Instance ${number} has ended, and is started again.`)
    setTimeout(startInstance, RESTART_MS, number, port)
  })
  await once(child.stdout, 'data')
  child.stdout.resume()
  console.log(`Instance ${number} runs as process ${child.pid}.`)
}

function secret() {
  return randomBytes(32).toString('base64url')
}

async function startRedis() {
  const port = await freePort()
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], { stdio: ['ignore', 'pipe', 'inherit'] })
  child.on('error', () => {
    console.error('There is no redis-server here. Install it (apt-get install redis-server), or set NUXT_SSE_REDIS_URL.')
    process.exit(1)
  })
  children.add(child)
  await once(child.stdout, 'data')
  child.stdout.resume()
  return `redis://127.0.0.1:${port}`
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

function end() {
  ending = true
  front.close()
  for (const child of children) child.kill()
  Promise.all([...children].map(child => once(child, 'exit'))).then(() => process.exit(0))
}
