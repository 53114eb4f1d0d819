import { expect } from 'vitest'
import { createMemoryDriver } from '../../src/runtime/server/drivers/memory/memory'
import { unpackData } from '../../src/runtime/server/drivers/packed-data'
import { eventually } from './conditions'
import type { ChaosDriver } from './drivers'
import { chaosDriver } from './drivers'
import type { Random } from './random'
import { createRandom } from './random'
import type { Truth } from './reader-model'
import type { TestServer } from './sse-server'
import { NOTHING, startSSEServer } from './sse-server'

/** Runs at a time, so that requests of different runs meet in one process. */
const AT_ONCE = 4

/** One of many runs on one server, whose driver has a bad connection. */
export interface Interleaving {
  seed: number
  server: TestServer
  driver: ChaosDriver
  random: Random
  /** Tells `truth` what is published to a channel. Returns the function that ends it. */
  witness(channel: string, truth: Truth, maxMessages: number): Promise<() => void>
  /**
   * Runs `publish` beside the readers. They are calm once it has resolved, and no longer cut themselves off. The driver becomes whole again
   * and again: then readers recover lost notices.
   */
  play(publish: () => Promise<void>, readers: { run(calm: () => boolean): Promise<void> }[]): Promise<void>
}

interface InterleavingsOptions<Client> {
  runs: number
  seed: number
  route(server: TestServer): void
  run(one: Interleaving): Promise<Client[]>
  /** Whether an error that the server reported is part of the runs. */
  isExpected?(error: unknown): boolean
}

/** Returns the clients of all runs. Afterwards the server has nothing left, and has reported nothing unexpected. */
export async function playInterleavings<Client>({ runs, seed, route, run, isExpected = () => false }: InterleavingsOptions<Client>): Promise<Client[]> {
  const random = createRandom(seed)
  const memory = createMemoryDriver({ maxMessages: 1_000, maxAgeMs: 3_600_000, maxBytes: 67_108_864 })
  const driver = chaosDriver(memory, random)
  const server = await startSSEServer({ retryMs: 10 }, driver)
  route(server)

  const witness: Interleaving['witness'] = (channel, truth, maxMessages) => memory.subscribe(channel, (notice) => {
    if (notice.type === 'append') for (const { offset, data } of notice.entries) truth.published(notice.epoch, offset, JSON.parse(unpackData(data)), maxMessages)
  })
  const play: Interleaving['play'] = async (publish, readers) => {
    let calm = false
    const healing = setInterval(() => driver.settle(), 20)
    try {
      await Promise.all([
        publish().then(() => {
          calm = true
          driver.settle()
        }),
        ...readers.map(reader => reader.run(() => calm)),
      ])
    }
    finally {
      clearInterval(healing)
    }
  }

  const clients: Client[] = []
  try {
    for (let first = 0; first < runs; first += AT_ONCE) {
      const some = Array.from({ length: Math.min(AT_ONCE, runs - first) }, (_, index) => run({ seed: first + index, server, driver, random, witness, play }))
      clients.push(...(await Promise.all(some)).flat())
    }
    expect(server.reported.filter(error => !isExpected(error))).toEqual([])
    await eventually(() => expect(server.left()).toEqual(NOTHING))
    return clients
  }
  finally {
    await server.close()
  }
}
