import { expect, it } from 'vitest'
import { RequestTurns } from '../../../src/runtime/server/lib/request-io'

it('a task that hands over another is not the last that is run', async () => {
  const turns = new RequestTurns()
  const ran: number[] = []
  await new Promise<void>(resolve => turns.afterTick(() => {
    ran.push(1)
    turns.afterTick(() => {
      ran.push(2)
      turns.afterTick(resolve)
    })
  }))
  expect(ran).toEqual([1, 2])
  turns.stop()
})
