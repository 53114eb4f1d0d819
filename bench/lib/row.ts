import type { Load } from './load.ts'
import type { BenchServer } from './server.ts'

export interface BenchContext {
  /** How often each peer is measured: `BENCH_ROUNDS`. */
  rounds: number
  /** Measures each name in turn, as often as there are rounds. */
  alternate<T>(names: readonly string[], measure: (name: string) => Promise<T>): Promise<Record<string, T[]>>
  /** Only these peers, where a row has several: `BENCH_PEERS=ours,bare`. */
  peers(all: readonly string[]): string[]
  /** Runs `task` with a fresh server process and a fresh load process, and ends both. */
  withServer<T>(task: (server: BenchServer, load: Load) => Promise<T>, env?: Record<string, string>): Promise<T>
  log(text: string): void
}

export interface Table {
  columns: string[]
  rows: string[][]
  /** What to know when reading it, in sentences. */
  note?: string
}

/** One question that the bench answers: a file in `rows/`. */
export interface Row {
  /** What it is called on the command line. */
  name: string
  title: string
  run(context: BenchContext): Promise<Table>
}
