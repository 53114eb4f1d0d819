/** Sample of the server's own figures, fifty times a second. */
export interface Sample {
  /** Time of the measurement, in epoch milliseconds. */
  at: number
  /** Delay of its timer, in milliseconds: the time that the event loop was busy. */
  lateMs: number
  heapMB: number
  /** Percent of one core, over the last half second. */
  cpuPercent: number
  /** Open streams in that process. */
  connections: number
  pid: number
}
