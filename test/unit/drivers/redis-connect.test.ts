import * as ioredis from 'ioredis'
import { describe, expect, it, vi } from 'vitest'
import { createRedisDriver } from '../../../src/runtime/server/drivers/redis/redis'
import { redisSettings } from '../../../src/runtime/server/drivers/redis/connection/client'
import type { RedisConnectOptions } from '../../../src/runtime/server/drivers/redis/connection/connect'
import { SSEError } from '../../../src/runtime/shared/errors'
import { redisConnector } from '../../../src/runtime/server/drivers/redis/connection/connect'

const settings = redisSettings(2_000, 'commands')
const connect = (options: RedisConnectOptions) => redisConnector(options)(ioredis, settings)

describe('location of Redis', () => {
  it.each([
    ['no options', {}, { host: '127.0.0.1', port: 6379, db: 0, tls: undefined }],
    ['a url', { url: 'redis://redis.example:7000' }, { host: 'redis.example', port: 7000, db: 0 }],
    ['user, password and database', { url: 'redis://us%40er:p%3Aw%2Fd@h/3' }, { host: 'h', port: 6379, username: 'us@er', password: 'p:w/d', db: 3 }],
    ['only a password', { url: 'redis://:secret@h' }, { username: null, password: 'secret' }],
    ['TLS', { url: 'rediss://h:1' }, { host: 'h', port: 1, tls: {} }],
    ['IPv6', { url: 'redis://[::1]:7000' }, { host: '::1', port: 7000 }],
    ['Sentinels', { url: 'rediss://:pw@a:1,rediss://b', sentinel: 'main', sentinelPassword: 'x' }, { sentinels: [{ host: 'a', port: 1 }, { host: 'b', port: 26_379 }], name: 'main', password: 'pw', sentinelPassword: 'x', tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true, failoverDetector: true }],
  ])('connects with %s', (_, options, expected) => {
    const client = connect(options)
    // Lazy: the client does not connect yet.
    expect(client.status).toBe('wait')
    expect(client.options).toMatchObject({ ...expected, enableOfflineQueue: false, maxRetriesPerRequest: 0, socketTimeout: 1_600 })
  })

  it('makes a client of a cluster', () => {
    const client = connect({ url: 'rediss://u:p@a:1,rediss://b:2', cluster: true }) as ioredis.Cluster
    expect(client.isCluster).toBe(true)
    expect(client.status).toBe('wait')
    expect(client.options.redisOptions).toMatchObject({ username: 'u', password: 'p', tls: {}, socketTimeout: 1_600 })
  })

  it.each([
    ['no url', { url: 'localhost:6379' }, /Expected `redis.url` to be/],
    ['another protocol', { url: 'http://h' }, /Expected `redis.url` to be/],
    ['a database that is no number', { url: 'redis://h/abc' }, /Expected `redis.url` to be/],
    ['a password with a bare percent sign', { url: 'redis://:100%@h' }, /percent-encoded, got `"…@h"`/],
    ['two urls for nothing', { url: 'redis://a,redis://b' }, /unless `redis.cluster` or `redis.sentinel` is set/],
    ['both', { cluster: true, sentinel: 'main' }, /Expected `redis.sentinel` to be empty/],
    ['a cluster with a database', { url: 'redis://a/1', cluster: true }, /a cluster has only one/],
  ])('refuses %s at the start', (_, options, message) => {
    expect(() => redisConnector(options)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) }))
  })

  it.each([
    'http://user:hush@h', 'user:hush@h:6379', 'default:hush@h', 'redis://user:pass@hush@h/abc', 'redis://user:pass,hush@h',
    'redis://user:hush,word@h', 'redis://a:b@h,http://c:hush@h', 'redis://:hush@h,',
  ])('shows no password in an error: %s', (url) => {
    expect(() => redisConnector({ url })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.not.stringContaining('hush') }))
  })
})

it('a failing client factory rejects each request as unavailable, and logs the cause once', async () => {
  const report = vi.fn()
  // Error of a missing package. Clients see the text of an SSEError, and this text belongs only in the log.
  const missing = new SSEError('DRIVER_UNAVAILABLE', 'There is no such package.', { statusCode: 503 })
  const retention = { maxMessages: 1, maxAgeMs: 1_000, maxBytes: 67_108_864 }
  const driver = createRedisDriver({ createClient: () => {
    throw missing
  }, report, timeoutMs: 200 }, retention)
  for (let n = 0; n < 2; n++) await expect(driver.append('c', [{ data: '1' }], retention)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE', message: expect.stringContaining('Redis cannot be reached') })
  await expect(driver.subscribe('c', () => {})).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE', message: expect.stringContaining('Redis cannot be reached') })
  expect(report).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('Redis is unreachable'), missing)
  await driver.close()
})
