import { expect, it } from 'vitest'
import { resolveOptions } from '../../../src/build/options'
import { unknownVariables } from '../../../src/runtime/server/entry/unknown-variables'
import { serverConfig } from '../../../src/build/server-parts'

const options = serverConfig(resolveOptions(), undefined, false)
const unknown = (...names: string[]) => unknownVariables(Object.fromEntries(names.map(name => [name, '1'])), options)

it('names variables that look like an option and are none', () => {
  expect(unknown('NUXT_SSE_HEARTBEAT', 'NITRO_SSE_REDISURL', 'NUXT_SSE_REDIS', 'NUXT_SSE_CLIENT_SHARE')).toEqual(['NUXT_SSE_HEARTBEAT', 'NITRO_SSE_REDISURL', 'NUXT_SSE_REDIS', 'NUXT_SSE_CLIENT_SHARE'])
})

it('accepts each variable of the reference, under either prefix, and ignores the rest', () => {
  const names = ['HEARTBEAT_MS', 'HEARTBEAT_TEXT', 'HEARTBEAT_AS', 'HEADERS', 'MAX_LIFETIME_MS', 'MAX_CONNECTIONS_PER_CLIENT', 'RETENTION_MAX_MESSAGES', 'LEASE_MS', 'TRUST_PROXY', 'DRIVER', 'REDIS_URL', 'REDIS_CLUSTER', 'REDIS_SENTINEL', 'REDIS_SENTINEL_PASSWORD', 'REDIS_KEY_PREFIX', 'REDIS_TIMEOUT_MS', 'TICKET_SECRET']
  expect(unknown(...names.flatMap(name => [`NUXT_SSE_${name}`, `NITRO_SSE_${name}`]), 'NUXT_PUBLIC_SSE_X', 'SSE_RUNS', 'PATH')).toEqual([])
})
