import process from 'node:process'
import { afterEach, beforeEach, expect } from 'vitest'
import { turns } from './random'

/** Checks after each test that no promise rejection is unhandled. Call it before the file's own hooks, so that it runs last. */
export function failOnUnhandledRejections(): void {
  const unhandled: unknown[] = []
  const onUnhandled = (error: unknown) => void unhandled.push(error)
  beforeEach(() => {
    unhandled.length = 0
    process.on('unhandledRejection', onUnhandled)
  })
  afterEach(async () => {
    await turns(3)
    process.off('unhandledRejection', onUnhandled)
    expect(unhandled).toEqual([])
  })
}
