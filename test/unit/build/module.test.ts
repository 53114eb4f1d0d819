import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadNuxt } from '@nuxt/kit'
import type { Nuxt } from '@nuxt/schema'
import { afterEach, describe, expect, it } from 'vitest'
import { hasDevtools } from '../../../src/build/devtools'
import { assertIoredis } from '../../../src/build/find-ioredis'
import { resolveOptions } from '../../../src/build/options'
import { projects, rootDir } from '../../support/projects'

let nuxt: Nuxt | undefined
afterEach(() => nuxt?.close())

const load = (sse: object) => loadNuxt({ cwd: projects.basic, overrides: { sse } as object, ready: true })

// The test loads a complete Nuxt, which takes seconds on a loaded machine.
describe('the module', { timeout: 30_000 }, () => {
  it('puts its options, with the defaults, where the environment may override them', async () => {
    nuxt = await load({ heartbeatMs: 7_000, retention: { maxMessages: 5 } })
    expect(nuxt.options.runtimeConfig.sse).toEqual({
      heartbeatMs: 7_000,
      heartbeatText: '',
      heartbeatAs: 'comment',
      headers: {},
      retryMs: 100,
      maxConnections: false,
      maxConnectionsPerClient: false,
      maxPublishPerSecond: false,
      shutdownMs: 1_000,
      trustProxy: false,
      maxLifetimeMs: false,
      maxBufferedBytes: 1_048_576,
      maxMessageBytes: 1_048_576,
      from: 'start',
      retention: { maxMessages: 5, maxAgeMs: 3_600_000, maxBytes: 67_108_864 },
      pollWaitMs: 20_000,
      resumable: false,
      resumeWindowMs: 30_000,
      leaseMs: 10_000,
      leaveAfterMs: 5_000,
      driver: '',
      redis: { url: '', cluster: false, sentinel: '', sentinelPassword: '', keyPrefix: 'sse:', timeoutMs: 2_000 },
      ticketSecret: '',
    })
    expect(nuxt.options.alias['#sse/server']).toMatch(/runtime\/server\/api\/index$/)
  })

  it('adds the route of the probe unless it is turned off, and no rule for all pages caches it', async () => {
    const probes = ({ options }: Nuxt) => [options.serverHandlers.filter(({ route }) => route === '/__sse/probe').map(({ method }) => method), options.routeRules?.['/__sse/probe']]
    nuxt = await load({})
    expect(probes(nuxt)).toEqual([['get'], { cache: false }])
    await nuxt.close()
    nuxt = await load({ probe: false })
    expect(probes(nuxt)).toEqual([[], undefined])
  })

  it('signs tickets in development with its own secret, and in a build only with a configured one', async () => {
    const secretOf = ({ options }: Nuxt) => options.runtimeConfig.sse as { ticketSecret: string }
    nuxt = await loadNuxt({ cwd: projects.basic, dev: true, ready: true })
    const { ticketSecret } = secretOf(nuxt)
    expect(ticketSecret).toMatch(/^[\w-]{43}$/)
    await nuxt.close()
    nuxt = await loadNuxt({ cwd: projects.basic, dev: true, ready: true })
    expect(secretOf(nuxt).ticketSecret).not.toBe(ticketSecret)
    await nuxt.close()
    const given = ['a', 'b'].map(letter => letter.repeat(32))
    nuxt = await load({ ticketSecret: given })
    expect(secretOf(nuxt).ticketSecret).toBe(given.join(','))
  })

  it.each([
    [{ ticketSecret: 'too-short-to-be-shown' }, 'Expected each secret in `ticketSecret` (NUXT_SSE_TICKET_SECRET) to have at least 32 characters, got one with 21. Generate one with `openssl rand -base64 32`.'],
    [{ heartbeatMs: -1 }, 'Expected `heartbeatMs` to be a whole number of milliseconds from 1 to 2147483647, or `false`, got `-1`.'],
    [{ retention: { maxMessages: 0 } }, 'Expected `retention.maxMessages` to be a whole number, at least 1, got `0`.'],
    [{ redis: { url: 'localhost' } }, 'Expected `redis.url` to be `redis://` or `rediss://` URLs, separated by commas, with user and password percent-encoded, got `"localhost"`.'],
    [{ heartbeatsMs: 1 }, /^Unknown option `sse\.heartbeatsMs`\. Expected one of `driver`, .*`heartbeatMs`.*\.$/],
    [{ redis: 'redis://localhost' }, 'Expected `sse.redis` to be an object, got `"redis://localhost"`.'],
    [{ redis: { uri: 'redis://localhost' } }, 'Unknown option `sse.redis.uri`. Expected one of `url`, `cluster`, `sentinel`, `sentinelPassword`, `keyPrefix`, `timeoutMs`.'],
    [{ redis: { cluster: 'yes' } }, 'Expected `sse.redis.cluster` to be `true` or `false`, got `"yes"`.'],
    [{ redis: { keyPrefix: 5 } }, 'Expected `sse.redis.keyPrefix` to be a string, got `5`.'],
    [{ redis: { sentinelPassword: { hush: 1 } } }, 'Expected `sse.redis.sentinelPassword` to be a string, got `"object"`.'],
    [{ redis: { timeoutMs: '2s' } }, 'Expected `sse.redis.timeoutMs` to be a whole number of milliseconds from 1 to 2147483647, got `"2s"`.'],
    [{ client: { share: true } }, /^Unknown option `sse\.client`\. Expected one of `driver`, /],
    [{ heartbeatMs: '15s' }, 'Expected `heartbeatMs` to be a whole number of milliseconds from 1 to 2147483647, or `false`, got `"15s"`.'],
    [{ clientKey: () => 'x' }, 'Expected `sse.clientKey` to be set on a handler'],
    [{ probe: 'no' }, 'Expected `sse.probe` to be `true` or `false`, got `"no"`.'],
    [{ driver: 'kafka' }, 'Expected `sse.driver` to be `"memory"` or `"redis"`, got `"kafka"`.'],
  ])('refuses %j in nuxt.config with one sentence', async (sse, sentence) => {
    await expect(load(sse).then(loaded => nuxt = loaded)).rejects.toThrow(sentence)
    expect(() => resolveOptions(sse as never)).toThrow(sentence)
  })

  it('refuses options that are no object', async () => {
    await expect(load('redis' as never).then(loaded => nuxt = loaded)).rejects.toThrow('Expected `sse` to be an object, or `false`, got `"redis"`.')
  })

  it('names the package to install when the options need Redis and its client is missing', async () => {
    const bare = await mkdtemp(join(tmpdir(), 'sse-bare-'))
    expect(() => assertIoredis([bare])).toThrow('Run `npm install ioredis`')
    expect(() => assertIoredis([bare, rootDir])).not.toThrow()
    await rm(bare, { recursive: true })
  })
})

it.each([
  [undefined, true], [{}, true], [{ enabled: true }, true], [true, true], [{ enabled: false }, false], [false, false],
])('adds a tab in development with `devtools: %j`: %s', (devtools, expected) => {
  expect(hasDevtools(devtools)).toBe(expected)
})
