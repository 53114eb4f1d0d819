import { afterEach, describe, expect, it, vi } from 'vitest'
import { SSEError } from '../../../src/runtime/shared/errors'
import { Channel } from '../../../src/runtime/server/channel/channel'
import { createSSEContext } from '../../../src/runtime/server/context/context'
import { forgetRetention, warnOfRetention } from '../../../src/runtime/server/channel/named-retention'
import { resolveHandlerOptions, resolveModuleHandlerOptions } from '../../../src/runtime/server/resolve-options'
import { RunChannel } from '../../../src/runtime/server/serve/resumable'
import { eventually } from '../../support/conditions'

/** The module's options name nothing: `maxMessages: 3` is a default. */
const context = () => createSSEContext({ options: resolveModuleHandlerOptions({ retention: { maxMessages: 3 } }) })

describe('handles on one channel', () => {
  it.each<[string, (channel: Channel) => Promise<unknown>]>([
    ['publish', channel => channel.publish('x')],
    ['pipe', channel => channel.pipe(['x'])],
    ['end', channel => channel.end()],
    ['fail', channel => channel.fail(new SSEError('X', 'x'))],
    ['run', channel => channel.run(() => ['x'])],
  ])('%s with a handle without limits leaves those of another handle', async (_, write) => {
    const sse = context()
    const named = new Channel(sse, 'c', { retention: { maxMessages: 5 } })
    for (let n = 1; n <= 5; n++) await named.publish(n)
    await write(new Channel(sse, 'c')).catch(() => {})
    await eventually(async () => expect((await named.info()).messages).toBe(5))
    await sse.close()
  })

  it.each<[string, (channel: Channel) => Promise<unknown>]>([
    ['read', channel => channel.read()],
    ['info', channel => channel.info()],
    ['stop', channel => channel.stop()],
    ['subscribe', async channel => channel.subscribe()[Symbol.asyncIterator]().next()],
  ])('%s with a handle of lower limits removes nothing', async (_, read) => {
    const sse = context()
    const channel = new Channel(sse, 'c')
    for (let n = 1; n <= 3; n++) await channel.publish(n)
    await read(new Channel(sse, 'c', { retention: { maxMessages: 1, maxAgeMs: 1, maxBytes: 1 } }))
    expect((await channel.info()).messages).toBe(3)
    await channel.publish(4)
    expect((await channel.info()).messages).toBe(3)
    await sse.close()
  })

  it('delete() restores the module\'s default', async () => {
    const sse = context()
    await new Channel(sse, 'c', { retention: { maxMessages: 1 } }).publish(1)
    const channel = new Channel(sse, 'c')
    await channel.delete()
    for (let n = 1; n <= 5; n++) await channel.publish(n)
    expect((await channel.info()).messages).toBe(3)
    await sse.close()
  })

  it('a resumable run keeps the limits of its handler, and otherwise those of the module', () => {
    const sse = context()
    const own = resolveHandlerOptions({ retention: { maxBytes: 5 } }, sse.options)
    expect(new RunChannel(sse, 'a', own).retention).toEqual({ maxMessages: 3, maxAgeMs: 3_600_000, maxBytes: 5, named: { maxBytes: 5 } })
    expect(new RunChannel(sse, 'b', resolveHandlerOptions({}, sse.options)).retention.named).toBeUndefined()
  })
})

describe('in development', () => {
  afterEach(() => void vi.restoreAllMocks())

  it('warns once about two handles with different limits, and not about equal limits, other fields, or after delete()', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    warnOfRetention('w', { maxMessages: 5 })
    warnOfRetention('w', { maxMessages: 5 })
    warnOfRetention('w', { maxBytes: 5 })
    warnOfRetention('other', { maxMessages: 6 })
    forgetRetention('w')
    warnOfRetention('w', { maxMessages: 6 })
    expect(warn).not.toHaveBeenCalled()
    for (const maxMessages of [7, 8, 9]) warnOfRetention('w', { maxMessages })
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/Channel `w`: `retention.maxMessages` was 6, and another handle sets it to 7/))
  })
})
