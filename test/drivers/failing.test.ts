import { createFailingDriver } from '../../src/runtime/test'
import { createMemoryDriver } from '../../src/runtime/server/drivers/memory/memory'
import { describeDriver } from './suite'

// Without an instruction to fail, and after `heal()`, the wrapper behaves like the driver inside.
describeDriver('memory', () => {
  const driver = createFailingDriver(createMemoryDriver({ maxMessages: 1_000, maxAgeMs: 60_000, maxBytes: 67_108_864 }))
  driver.fail('all')
  driver.slow('all', { delayMs: 1_000_000 })
  driver.disturb('drop')
  driver.heal()
  return { driver }
})
