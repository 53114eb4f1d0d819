import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Passes signals on from the primary of Nitro 3's `node-cluster` preset to its workers, as `server/plugins/pass-signals-on.ts` does on
 * Nitro 2. The primary then stays until the last worker has exited. Text, since no file of the package reaches that process: Nitro
 * writes its code after bundling.
 *
 * `process.kill` of the worker, not `worker.kill`: that disconnects the worker first, which closes its server.
 */
const PASS_SIGNALS_ON = `
// Added by nuxt-sse.
import nuxtSSECluster from "node:cluster";
if (nuxtSSECluster.isPrimary && !process.env.NITRO_SHUTDOWN_DISABLED) {
  for (const signal of (process.env.NITRO_SHUTDOWN_SIGNALS || "SIGTERM SIGINT").split(" ").map(name => name.trim()).filter(Boolean)) {
    process.on(signal, () => {
      for (const worker of Object.values(nuxtSSECluster.workers)) worker.process.kill(signal);
    });
  }
}
`

export interface ClusterBuild {
  /** `serverDir` is always there: only the type that Nuxt has for both versions of Nitro does not say so. */
  options: { output: { serverDir?: string } }
  hooks: { hook(name: 'compiled', listener: () => Promise<void>): unknown }
}

/** Makes the primary pass signals on. The preset writes the primary's file in its own `compiled` hook, which runs before this one. */
export function passSignalsToWorkers({ hooks, options }: ClusterBuild): void {
  hooks.hook('compiled', () => appendFile(join(options.output.serverDir!, 'index.mjs'), PASS_SIGNALS_ON))
}
