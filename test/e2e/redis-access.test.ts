import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { freePort, startBuiltServer, stopBuiltServers } from '../support/built-server'
import { SSEReader } from '../support/read-sse'
import { startRedis, stopRedis } from '../support/redis'
import { publish } from '../support/redis-checks'

afterEach(async () => {
  await stopBuiltServers()
  await stopRedis()
})

/** A message from one server to a reader at another, and a producer that outlives its first lease. */
async function expectToWork(env: Record<string, string>): Promise<void> {
  const start = () => startBuiltServer('basic', { env: { ...env, NUXT_SSE_LEASE_MS: '3000' } })
  const [one, two] = await Promise.all([start(), start()])
  await using reader = await SSEReader.open(`${two.url}/api/channel/c`)
  await reader.until(r => r.controls.length > 0)
  expect(await publish(one, 'c', 1)).toBeDefined()
  await reader.until(r => r.data.length === 1)
  await using run = await SSEReader.open(`${one.url}/api/run/run?to=36&everyMs=100`)
  await run.until(r => r.controls.at(-1)?.type === 'end')
  expect(run.data).toHaveLength(36)
}

describe('access to Redis', () => {
  it('works with a user of its own, with the least rights, a password, a database and a prefix', async () => {
    const redis = await startRedis()
    const admin = new Redis(redis.url)
    await admin.acl('SETUSER', 'app', 'on', '>s:e/cret', 'resetchannels', '&live:*', '~live:*', '-@all',
      '+evalsha', '+eval', '+script|load', '+time', '+info', '+select', '+ping', '+subscribe', '+unsubscribe', '+publish',
      '+exists', '+del', '+get', '+set', '+hget', '+hset', '+hdel', '+hmget', '+hlen', '+hvals', '+hgetall', '+zadd', '+zrem', '+zscore', '+zrange', '+zrangebyscore', '+pexpire', '+pttl', '+xadd', '+xlen', '+xrange', '+xtrim')
    await admin.acl('SETUSER', 'default', 'nopass', 'off')
    await expectToWork({ NUXT_SSE_REDIS_URL: `redis://app:s%3Ae%2Fcret@127.0.0.1:${redis.port}/2`, NUXT_SSE_REDIS_KEY_PREFIX: 'live:' })
    await admin.select(2)
    expect((await admin.keys('*')).every(key => /^live:\{(?:c|run)\}:/.test(key))).toBe(true)
    expect(await admin.dbsize()).toBeGreaterThan(1)
    admin.disconnect()
  })

  it('works over TLS, with a certificate that Node is configured to trust', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sse-tls-'))
    try {
      const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
      execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' })
      const tlsPort = await freePort()
      await startRedis({ args: ['--tls-port', String(tlsPort), '--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert, '--tls-auth-clients', 'no'] })
      await expectToWork({ NUXT_SSE_REDIS_URL: `rediss://localhost:${tlsPort}`, NODE_EXTRA_CA_CERTS: cert })
    }
    finally {
      await rm(dir, { recursive: true })
    }
  })

  it('works with clients that the application makes', async () => {
    const redis = await startRedis()
    await expectToWork({ NUXT_SSE_DRIVER: 'redis', OWN_REDIS_PORT: String(redis.port) })
    const admin = new Redis(redis.url)
    expect(await admin.dbsize()).toBeGreaterThan(1)
    admin.disconnect()
  })

  it('an application that makes clients without the driver gets an error when it starts', async () => {
    await expect(startBuiltServer('basic', { env: { OWN_REDIS_PORT: '1' } })).rejects.toThrow(/Expected `sse.driver` to be `"redis"`/)
  })

  it.each([
    ['url', { NUXT_SSE_REDIS_URL: 'user:hush@redis.example:6379' }],
    ['timeoutMs', { NUXT_SSE_REDIS_URL: 'redis://127.0.0.1:1', NUXT_SSE_REDIS_TIMEOUT_MS: '2s' }],
    ['cluster', { NUXT_SSE_REDIS_URL: 'redis://127.0.0.1:1', NUXT_SSE_REDIS_CLUSTER: 'no' }],
  ])('a %s that makes no sense stops the server when it starts, and no password is shown', async (name, env) => {
    const error = await startBuiltServer('basic', { env }).then(() => undefined, error => error)
    expect(error.message).toMatch(new RegExp(`Expected \`(?:sse\\.)?redis\\.${name}\` to be`))
    expect(error.message).not.toContain('hush')
  })
})
