import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const FILE = 'nuxt-sse-primary.mjs'
/**
 * Passes signals on from the primary of Nitro 3's `node-cluster` preset to its workers, as `pass-signals-on.ts` does on Nitro 2. The
 * primary then runs until the last worker has exited. It is text, since no file of the package reaches that process: Nitro writes the
 * primary's code after bundling.
 *
 * `process.kill` of the worker, not `worker.kill`: that disconnects the worker first, which closes its server.
 */
const PASS_SIGNALS_ON = `// Written by nuxt-sse: passes the signals that the primary gets on to its workers.
import cluster from "node:cluster";

if (cluster.isPrimary && !process.env.NITRO_SHUTDOWN_DISABLED) {
  for (const signal of (process.env.NITRO_SHUTDOWN_SIGNALS || "SIGTERM SIGINT").split(" ").map(name => name.trim()).filter(Boolean)) {
    process.on(signal, () => {
      for (const worker of Object.values(cluster.workers)) worker.process.kill(signal);
    });
  }
}
`

export interface ClusterBuild {
  /** Always set; it is optional only in Nuxt's common type for both versions of Nitro. */
  options: { output: { serverDir?: string } }
  hooks: { hook(name: 'compiled', listener: () => Promise<void>): unknown }
}

/**
 * Makes the primary pass signals on. The preset writes the primary's `index.mjs` in its own `compiled` hook, which runs before this one. An
 * application may have both modules, for Nuxt and for Nitro: a file that is imported twice runs once.
 */
export function passSignalsToWorkers({ hooks, options }: ClusterBuild): void {
  hooks.hook('compiled', async () => {
    const serverDir = options.output.serverDir!
    await writeFile(join(serverDir, FILE), PASS_SIGNALS_ON)
    await appendFile(join(serverDir, 'index.mjs'), `import "./${FILE}";\n`)
  })
}
