import type { Load } from './load.ts'
import type { BenchServer } from './server.ts'

export interface BenchContext {
  /** Number of rounds per peer: `BENCH_ROUNDS`. */
  rounds: number
  /** Measures each name once per round, in alternating order. */
  alternate<T>(names: readonly string[], measure: (name: string) => Promise<T>): Promise<Record<string, T[]>>
  /** Filters a row's peers by `BENCH_PEERS=ours,bare`. */
  peers(all: readonly string[]): string[]
  /** Runs `task` with a fresh server process and a fresh load process, and ends both. */
  withServer<T>(task: (server: BenchServer, load: Load) => Promise<T>, env?: Record<string, string>): Promise<T>
  log(text: string): void
}

export interface Table {
  columns: string[]
  rows: string[][]
  /** Notes on reading the table, in sentences. */
  note?: string
}

/** One question that the bench answers: a file in `rows/`. */
export interface Row {
  /** Name of the row on the command line. */
  name: string
  title: string
  run(context: BenchContext): Promise<Table>
}
