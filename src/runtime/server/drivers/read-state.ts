import type { LogDriver, LogPageLimit, LogState } from './types'

/** A page without entries. */
export const STATE_ONLY: LogPageLimit = { messages: 0, bytes: 0 }

/** The state of a log, which begins empty where there is none. */
export async function readState(driver: Pick<LogDriver, 'read'>, channel: string): Promise<LogState> {
  const { entries: _, ...state } = await driver.read(channel, 0, STATE_ONLY)
  return state
}
