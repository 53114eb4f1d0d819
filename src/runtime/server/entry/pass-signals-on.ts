import cluster from 'node:cluster'

/**
 * Passes the signals that the primary of Nitro's `node_cluster` preset receives on to its workers.
 *
 * A deploy signals the primary alone (a container's first process). Nitro's primary then waits up to 30 s for workers that never received
 * the signal, and they are cut off. A worker may receive a signal twice, as from Ctrl-C: its listener handles that.
 */
export function passSignalsOn(signals: string[]): void {
  if (!cluster.isPrimary) return
  for (const signal of signals) {
    // Calls `process.kill` of the worker, not `worker.kill`: that disconnects the worker first, which closes its server too early.
    process.on(signal, () => {
      for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill(signal as NodeJS.Signals)
    })
  }
}
