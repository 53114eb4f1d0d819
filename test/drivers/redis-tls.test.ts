import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import * as ioredis from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { createRedisDriver } from '../../src/runtime/server/drivers/redis/redis'
import type { RedisConnectOptions } from '../../src/runtime/server/drivers/redis/connection/connect'
import { redisConnector } from '../../src/runtime/server/drivers/redis/connection/connect'
import type { LogDriver } from '../../src/runtime/server/drivers/types'
import { freePort } from '../support/built-server'
import { eventually } from '../support/conditions'
import type { TestCertificate } from '../support/redis'
import { TestRedis, createCertificate, startRedis, startTlsCluster, stopRedis, tlsArgs } from '../support/redis'

const RETENTION = { maxMessages: 1_000, maxAgeMs: 60_000, maxBytes: 67_108_864 }
const PAGE = { messages: 100, bytes: 1_000_000 }

let dir: string
let certificate: TestCertificate
const trusted = tls.getCACertificates()
const drivers: LogDriver[] = []
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sse-tls-'))
  certificate = await createCertificate(dir)
  tls.setDefaultCACertificates([...trusted, await readFile(certificate.cert, 'utf8')])
})
afterEach(() => Promise.all(drivers.splice(0).map(driver => driver.close())))
afterAll(async () => {
  tls.setDefaultCACertificates(trusted)
  await stopRedis()
  await rm(dir, { recursive: true })
})

function open(options: RedisConnectOptions, report = vi.fn(), timeoutMs = 2_000) {
  const connect = redisConnector(options)
  return drivers[drivers.push(createRedisDriver({ createClient: settings => connect(ioredis, settings), report, timeoutMs }, RETENTION)) - 1]!
}

/** Publishes, subscribes and reads on channels of many slots. */
async function expectToWork(driver: LogDriver, prefix = 'c'): Promise<void> {
  await Promise.all(Array.from({ length: 12 }, async (_, n) => {
    const notice = vi.fn()
    await driver.subscribe(`${prefix}${n}`, notice)
    await driver.append(`${prefix}${n}`, [{ data: '1' }], RETENTION)
    await eventually(() => expect(notice).toHaveBeenCalled())
    expect((await driver.read(`${prefix}${n}`, 0, PAGE)).entries).toMatchObject([{ data: '1' }])
  }))
}

/** All reported errors, with their causes. */
const textOf = (error: unknown): string => error instanceof Error ? [error.message, textOf(error.cause), textOf((error as { lastNodeError?: unknown }).lastNodeError)].join(' ') : ''

describe('redis over TLS, with certificates for host names', () => {
  it('connects to a cluster from one of its nodes and from all', async () => {
    const cluster = await startTlsCluster(certificate)
    await expectToWork(open({ url: cluster.urls[0], cluster: true }))
    await expectToWork(open({ url: cluster.urls.join(), cluster: true }), 'other')
  })

  it('connects through Sentinel', async () => {
    const [port, sentinelPort] = [await freePort(), await freePort()]
    await startRedis({ args: tlsArgs(port, certificate) })
    await TestRedis.startSentinel([
      ...tlsArgs(sentinelPort, certificate).join(' ').replace(/^--/, '').split(' --'),
      'sentinel resolve-hostnames yes',
      'sentinel announce-hostnames yes',
      `sentinel monitor main localhost ${port} 1`,
    ])
    await expectToWork(open({ url: `rediss://localhost:${sentinelPort}`, sentinel: 'main' }))
  })

  it.each<[string, (port: number) => RedisConnectOptions]>([
    ['one node', port => ({ url: `rediss://127.0.0.1:${port}` })],
    ['a cluster', port => ({ url: `rediss://127.0.0.1:${port}`, cluster: true })],
    ['Sentinel', port => ({ url: `rediss://127.0.0.1:${port}`, sentinel: 'main' })],
  ])('%s: a certificate for another name is refused, and the log has the reason', async (_, optionsOf) => {
    const port = await freePort()
    await startRedis({ args: tlsArgs(port, certificate) })
    const report = vi.fn()
    await expect(open(optionsOf(port), report, 500).append('c', [{ data: '1' }], RETENTION)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
    await eventually(() => expect(report.mock.calls.map(([, cause]) => textOf(cause)).join()).toMatch(/does not match certificate's altnames/))
  })
})
