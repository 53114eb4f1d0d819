import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SSEReader } from '../support/read-sse'
import type { TestRedis } from '../support/redis'
import { startRedis } from '../support/redis'
import { describeRuntime } from '../support/runtime-suite'
import { runtimes, startOn, stopRuntimes } from '../support/runtimes'

/** One application, built by Nitro 2 for each runtime, and run there from what was built. */

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => {
  await stopRuntimes()
  await redis.stop()
})

for (const runtime of runtimes) describeRuntime(runtime, () => redis.url)

describe('Bun\'s idle limit', () => {
  it('makes heartbeats come before it, and says so', async () => {
    const server = await startOn('bun', { NITRO_BUN_IDLE_TIMEOUT: '8' })
    expect(server.output()).toContain('[nuxt-sse] Bun cuts connections on which nothing was sent for 8 s (NITRO_BUN_IDLE_TIMEOUT), so that heartbeats come, and polls are answered, before that.')
    await using reader = await SSEReader.open(`${server.url}/api/any`)
    const poll = fetch(`${server.url}/api/channel/idle?transport=poll&waitMs=20000`)
    // Twelve seconds: longer than Bun waits.
    await reader.until(({ comments }) => comments.length === 4, 20_000)
    expect(reader.controls).toEqual([{ type: 'open', heartbeatMs: 3_000 }])
    expect((await poll).status).toBe(200)
    await server.stop()
  })

  it('that is shorter than Bun can measure stops the server', async () => {
    await expect(startOn('bun', { NITRO_BUN_IDLE_TIMEOUT: '4' })).rejects.toThrow('Expected `NITRO_BUN_IDLE_TIMEOUT` to be more than 4 seconds, or 0 for none, got `4`: Bun would cut every stream.')
  })
})
