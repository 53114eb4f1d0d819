import { expect, it } from 'vitest'
import type { PresenceRequest } from '../../../src/runtime/server/drivers/presence-types'
import { Steps } from '../../../src/runtime/server/presence/steps'

const hold = (data: number, keep?: boolean) => ({ id: 'ann', member: `{"id":"ann","data":${data}}`, keep })

/** Steps whose first send waits for `go`. */
function createSteps(): { steps: Steps, sent: PresenceRequest[], go: PromiseWithResolvers<void>, begun: Promise<void> } {
  const sent: PresenceRequest[] = []
  const go = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const steps = new Steps(async (changes) => {
    sent.push(changes)
    begun.resolve()
    await go.promise
  })
  steps.hurry()
  return { steps, sent, go, begun: begun.promise }
}

it.each([['before', true], ['after', false]])('a member that enters with new data %s the process reports all members again keeps that data', async (_, isBefore) => {
  const { steps, sent, go, begun } = createSteps()
  const first = steps.renew()
  await begun
  const again = isBefore ? undefined : steps.hold(hold(1, true))
  const entered = steps.hold(hold(2))
  const late = isBefore ? steps.hold(hold(1, true)) : undefined
  go.resolve()
  await Promise.all([first, entered, again, late])
  expect(sent.flatMap(({ hold: holds = [] }) => holds)).toEqual([hold(2)])
})

it('a member that enters is refused if its step fails, although the process reports all members again meanwhile', async () => {
  const { steps, go, begun } = createSteps()
  const first = steps.renew()
  await begun
  const entered = steps.hold(hold(2))
  const again = steps.hold(hold(1, true))
  go.reject(new Error('The store cannot be reached.'))
  await expect(Promise.allSettled([first, entered, again])).resolves.toMatchObject([{ status: 'rejected' }, { status: 'rejected' }, { status: 'rejected' }])
})
