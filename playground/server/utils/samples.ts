import process from 'node:process'
import type { Sample } from '#shared/types/sample'

const SAMPLE_MS = 20
/** Number of samples over which the processor's load is averaged. */
const CPU_SAMPLES = 25

/** Keeps one minute of samples: a reader that was away for longer receives a gap with the number missed. */
export const samplesChannel = () => useSSEChannel<Sample>('samples', { retention: { maxMessages: 60_000 / SAMPLE_MS, maxAgeMs: 120_000 } })

/** Fifty samples a second until it is stopped: a late sample does not delay the next one. */
export async function* takeSamples(signal: AbortSignal): AsyncGenerator<Sample> {
  const cpuTimes = [cpuTime()]
  let due = performance.now()
  while (!signal.aborted) {
    // After the machine slept, it continues from now.
    due = Math.max(due, performance.now() - 1_000) + SAMPLE_MS
    await pause(Math.max(0, due - performance.now()))
    const lateMs = Math.max(0, performance.now() - due)
    cpuTimes.push(cpuTime())
    if (cpuTimes.length > CPU_SAMPLES + 1) cpuTimes.shift()
    const [from, to] = [cpuTimes[0]!, cpuTimes.at(-1)!]
    yield {
      at: Date.now(),
      lateMs: round(lateMs),
      heapMB: round(process.memoryUsage().heapUsed / 1e6),
      cpuPercent: Math.round(100 * (to.used - from.used) / (to.at - from.at)),
      connections: useSSEStats().connections,
      pid: process.pid,
    }
  }
}

/** Both in milliseconds. */
function cpuTime() {
  const { user, system } = process.cpuUsage()
  return { at: performance.now(), used: (user + system) / 1_000 }
}

const round = (value: number) => Math.round(value * 10) / 10
