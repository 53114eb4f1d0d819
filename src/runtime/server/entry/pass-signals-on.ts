import cluster from 'node:cluster'

/**
 * Has the workers of Nitro's `node_cluster` preset hear the signals that their primary gets.
 *
 * Whoever stops a deploy signals the primary alone (a container's first process), and Nitro's primary waits for workers
 * that nobody has told, 30 s, and leaves them to be cut off. A worker may hear it twice, as from Ctrl-C: it knows that.
 */
export function passSignalsOn(signals: string[]): void {
  if (!cluster.isPrimary) return
  for (const signal of signals) {
    // `process.kill` of the worker and not `worker.kill`, which disconnects first: its server would be closed under it.
    process.on(signal, () => {
      for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill(signal as NodeJS.Signals)
    })
  }
}
