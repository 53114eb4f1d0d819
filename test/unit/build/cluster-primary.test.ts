import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { adaptToPlatform } from '../../../src/build/platform'
import { eventually } from '../../support/conditions'

let serverDir: string
beforeEach(async () => {
  serverDir = await mkdtemp(join(tmpdir(), 'nuxt-sse-primary-'))
})
afterEach(() => rm(serverDir, { recursive: true }))

/** Primary in the form that Nitro 3 writes. */
const PRIMARY = `import cluster from "node:cluster";
if (cluster.isPrimary) {
  for (let i = 0; i < 2; i++) cluster.fork();
} else {
 import("./worker.mjs");
}
`
const WORKER = `process.on("SIGTERM", signal => { console.log(\`<\${signal}>\`); process.exit() })\nconsole.log("<ready>")\n`

/** Runs one build for each list of modules, and installs this package once for each name in the list. */
async function build(preset: string, nitroMajor: number, builds: string[][]): Promise<void> {
  for (const modules of builds) {
    const listeners: (() => Promise<void>)[] = []
    const nitro = {
      options: { preset, output: { serverDir }, alias: {}, runtimeConfig: { sse: {} } },
      logger: { info() {} },
      hooks: { hook: (_: 'compiled', listener: () => Promise<void>) => listeners.push(listener) },
    }
    for (const _ of modules) adaptToPlatform(nitro, { nitroMajor, redis: false }, path => path)
    await writeFile(join(serverDir, 'index.mjs'), PRIMARY)
    await writeFile(join(serverDir, 'worker.mjs'), WORKER)
    for (const listener of listeners) await listener()
  }
}

/** Starts the built application, sends SIGTERM to the primary, and returns the signals that the two workers received. */
async function heard(): Promise<string[]> {
  const child = spawn(process.execPath, [join(serverDir, 'index.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', chunk => output += chunk)
  const closed = once(child, 'close')
  await eventually(() => expect(output.match(/<ready>/g)).toHaveLength(2))
  child.kill('SIGTERM')
  await closed
  return output.match(/<SIG\w+>/g) ?? []
}

it.each([
  ['once', [['nuxt']]],
  ['with the modules for Nuxt and for Nitro', [['nuxt', 'nitro']]],
  ['again', [['nuxt'], ['nuxt']]],
])('the primary of node-cluster on Nitro 3 forwards a signal, built %s', async (_, builds) => {
  await build('node-cluster', 3, builds)
  expect(await heard()).toEqual(['<SIGTERM>', '<SIGTERM>'])
})

it.each([['node-server', 3], ['node-cluster', 2]])('nothing is added to the output of %s on Nitro %d', async (preset, nitroMajor) => {
  await build(preset, nitroMajor, [['nuxt']])
  expect(await heard()).toEqual([])
})
