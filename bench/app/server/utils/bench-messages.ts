/** Readers count this byte. It appears nowhere else in any peer's output, and one byte is never split between chunks. */
export const MARK = '~'

export interface BenchMessage { n: number, at: number, text: string }

/** About `bytes` of JSON, with a mark at its end. */
export function message(n: number, bytes = 100): BenchMessage {
  return { n, at: monotonicMicros(), text: 'x'.repeat(Math.max(0, bytes - 50)) + MARK }
}

export function* messages(query: { n?: unknown, bytes?: unknown }): Generator<BenchMessage> {
  const count = Number(query.n ?? 1_000)
  for (let n = 1; n <= count; n++) yield message(n, Number(query.bytes ?? 100))
}

/** Microseconds of a clock that is the same in every process of a machine. */
function monotonicMicros(): number {
  return Math.round(Number(process.hrtime.bigint() / BigInt(1_000)))
}
