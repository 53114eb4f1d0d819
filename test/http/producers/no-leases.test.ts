import { describe, expect, it } from 'vitest'
import { createMemoryDriver } from '../../../src/runtime/server/drivers/memory/memory'
import type { LogDriver } from '../../../src/runtime/server/drivers/types'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import { createFailingDriver } from '../../../src/runtime/test'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import { NOTHING, startSSEServer, useSSEServer } from '../../support/sse-server'

const NOT_SUPPORTED = { name: 'SSEError', code: 'NOT_SUPPORTED', statusCode: 501, retry: false, message: 'Expected the driver `leaseless` to have the method `lease`, which `channel.run` and `resumable` need. Add it, or use `channel.pipe`.' }

function leaseless(): LogDriver {
  const { lease: _, ...rest } = createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention)
  return { ...rest, name: 'leaseless' }
}

const server = useSSEServer({ retryMs: 10, shutdownMs: 100 }, { driver: leaseless })

describe('on a driver without leases', () => {
  it('`run` rejects, on any channel, and starts nothing', async () => {
    let started = 0
    const run = (name: string, options = {}) => server.channel(name).run(() => [++started], options)
    await server.channel('ended').end()
    for (const name of ['new', 'ended']) {
      for (const options of [{}, { ifEnded: 'restart' }, { onLost: 'restart' }]) await expect(run(name, options)).rejects.toMatchObject(NOT_SUPPORTED)
    }
    expect([started, server.context.producers.size]).toEqual([0, 0])
  })

  it('a `resumable` source is refused, released before it starts, and reported once for each request', async () => {
    let begun = 0
    let left = 0
    server.route('/run', ({ path }, { signal }) => {
      signal.addEventListener('abort', () => left++)
      return path.includes('array') ? [1][Symbol.iterator]() : count()
    }, { resumable: true })
    async function* count() {
      yield ++begun
    }
    const paths = ['/run', '/run?transport=poll', '/run?position=abc.5', '/run?array']
    for (const path of paths) {
      const response = await fetch(server.url + path)
      expect([path, response.status, await response.json()]).toEqual([path, 501, expect.objectContaining({ message: NOT_SUPPORTED.message, data: expect.objectContaining({ code: 'NOT_SUPPORTED', retry: false }) })])
    }
    expect([begun, left]).toEqual([0, paths.length])
    expect(server.reported).toEqual(paths.map(() => expect.objectContaining(NOT_SUPPORTED)))
    expect(server.left()).toEqual(NOTHING)
  })

  it('`resumable` has no effect on channels and the push API, as with any driver', async () => {
    await server.channel('c').publish('kept')
    server.route('/channel', () => server.channel('c'), { resumable: true })
    server.route('/push', (_, connection) => void connection.push('pushed'), { resumable: true })
    for (const [path, data] of [['/channel', 'kept'], ['/push', 'pushed']] as const) {
      await using reader = await SSEReader.open(server.url + path)
      await reader.until(({ messages }) => messages.length === 1)
      expect(reader.messages[0]!.data).toBe(data)
    }
  })

  it('everything else works: publish, read, subscribe, pipe, stop, info, end, fail, delete', async () => {
    server.route('/feed', () => server.channel('feed'))
    const feed = server.channel<number>('feed')
    await using reader = await SSEReader.open(`${server.url}/feed`)
    const subscribed = (async () => {
      const seen: number[] = []
      for await (const { data } of feed.subscribe()) seen.push(data)
      return seen
    })()
    await feed.publish(1)
    await feed.pipe([2, 3])
    await feed.stop()
    expect(await feed.info()).toMatchObject({ messages: 3, ended: true, running: false })
    expect((await feed.read()).messages.map(({ data }) => data)).toEqual([1, 2, 3])
    expect(await subscribed).toEqual([1, 2, 3])
    await reader.until(({ controls }) => controls.at(-1)?.type === 'end')
    expect(reader.messages.map(({ data }) => data)).toEqual([1, 2, 3])
    await server.channel('broken').fail(new Error('x'))
    expect(await server.channel('broken').info()).toMatchObject({ ended: true, error: { code: 'SOURCE_FAILED' } })
    await feed.delete()
    expect(await feed.info()).toMatchObject({ messages: 0, ended: false })
  })

  it('a shutdown sends the readers of a pipe its error', async () => {
    const piped = server.channel('piped').pipe((async function* () {
      yield 1
      await new Promise(() => {})
    })()).catch(error => error)
    await eventually(async () => expect((await server.channel('piped').info()).messages).toBe(1))
    await server.context.leave()
    expect(await piped).toMatchObject({ code: 'SHUTTING_DOWN' })
    expect(await server.channel('piped').info()).toMatchObject({ ended: true, error: { code: 'SHUTTING_DOWN' } })
  })
})

it('a driver that still has `state` works, and the method is never called', async () => {
  let asked = 0
  const old = { ...createMemoryDriver(DEFAULT_HANDLER_OPTIONS.retention), state: async () => ++asked }
  for (const driver of [old, createFailingDriver(old)]) {
    const other = await startSSEServer({}, driver)
    await other.channel('c').run(() => [1])
    await eventually(async () => expect(await other.channel('c').info()).toMatchObject({ ended: true }))
    await other.channel('c').delete()
    await other.context.leave()
    other.server.close()
  }
  expect(asked).toBe(0)
  await old.close()
})

it('a failing driver around a driver without leases has none, and fails as any other', async () => {
  const driver = createFailingDriver(leaseless())
  expect(driver.lease).toBeUndefined()
  driver.fail('all', { times: 1 })
  await expect(driver.read('c', 0, { messages: 0, bytes: 0 })).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' })
  expect(driver.calls).toMatchObject({ read: 1, lease: 0 })
  expect(driver.calls).not.toHaveProperty('state')
  await driver.close()
})
