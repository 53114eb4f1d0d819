/** What a server measured of itself, fifty times a second. */
export interface Sample {
  /** When, in epoch milliseconds. */
  at: number
  /** How late its timer was: what the event loop was busy with meanwhile. */
  lateMs: number
  heapMB: number
  /** Of one core, over the last half second. */
  cpuPercent: number
  /** Open streams in that process. */
  connections: number
  pid: number
}
