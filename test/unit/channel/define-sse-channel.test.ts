import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { addChannelHost } from '../../../src/runtime/server/channel/channel-host'
import type { ChannelContext } from '../../../src/runtime/server/context/channel-context'
import { createChannelContext } from '../../../src/runtime/server/context/channel-context'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import { defineSSEChannel } from '../../../src/runtime/publisher'
import { failOnUnhandledRejections } from '../../support/unhandled'

failOnUnhandledRejections()
const releases: (() => unknown)[] = []
afterEach(async () => {
  for (const release of releases.splice(0)) await release()
})

function host(): ChannelContext {
  const context = createChannelContext({ options: DEFAULT_HANDLER_OPTIONS })
  releases.push(addChannelHost(() => context), () => context.close())
  return context
}

describe('defineSSEChannel', () => {
  it('names, checks and keeps what it defines, through the context of its process', async () => {
    const context = host()
    const rooms = defineSSEChannel((room: string, part: number = 0) => `room:${room}:${part}`, { schema: z.object({ text: z.string() }), retention: { maxMessages: 2 } })
    expect(rooms('a').name).toBe('room:a:0')
    expect(rooms('a', 7).name).toBe('room:a:7')
    for (const text of ['1', '2', '3']) await rooms('a').publish({ text })
    expect((await rooms('a').read()).messages.map(({ data }) => data.text)).toEqual(['2', '3'])
    await expect(rooms('a').publish({ text: 4 } as never)).rejects.toMatchObject({ code: 'INVALID_MESSAGE' })
    expect((await context.driver.read('room:a:0', 0, { messages: 9, bytes: 1e6 })).entries).toHaveLength(2)
    expect(defineSSEChannel('feed')().name).toBe('feed')
  })

  it.each<[string, unknown[]]>([
    ['a name that is none', [7]],
    ['no name', []],
    ['an unknown option', ['a', { shema: z.string() }]],
    ['a bad retention', ['a', { retention: { maxMessages: 0 } }]],
    ['options that are none', ['a', 7]],
  ])('refuses %s at once', (_, args) => {
    expect(() => (defineSSEChannel as (...args: unknown[]) => unknown)(...args)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it('refuses what its name function returns where that is no name', () => {
    host()
    for (const name of ['', undefined, 'x'.repeat(513), 'a\uD800']) expect(() => defineSSEChannel(() => name as string)()).toThrow(expect.objectContaining({ code: 'INVALID_CHANNEL' }))
  })

  it('the first open host counts, and the next one when that is closed', async () => {
    const first = createChannelContext({ options: DEFAULT_HANDLER_OPTIONS })
    const remove = addChannelHost(() => first)
    releases.push(() => first.close())
    const second = host()
    const feed = defineSSEChannel('feed')
    await feed().publish(1)
    remove()
    await feed().publish(2)
    const lastOf = async (context: ChannelContext) => (await context.driver.read('feed', 0, { messages: 0, bytes: 0 })).last
    expect([await lastOf(first), await lastOf(second)]).toEqual([1, 1])
  })
})

describe('without a server and a publisher', () => {
  it('every method rejects with NO_PUBLISHER, and a handle can be made', async () => {
    const channel = defineSSEChannel('feed')()
    const first = async () => {
      for await (const _ of channel.subscribe()) return
    }
    for (const use of [() => channel.publish(1), () => channel.pipe([1]), () => channel.run(() => [1]), () => channel.stop(), () => channel.end(), () => channel.fail(new Error('x')), () => channel.read(), first, () => channel.info(), () => channel.delete()]) {
      await expect(use(), String(use)).rejects.toMatchObject({ code: 'NO_PUBLISHER', retry: false })
    }
  })
})
