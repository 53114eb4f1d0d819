import { execFileSync } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { Load } from './lib/load.ts'
import { writeTable } from './lib/report.ts'
import { alternate } from './lib/rounds.ts'
import type { BenchContext } from './lib/row.ts'
import { startServer } from './lib/server.ts'
import { rows } from './rows/index.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const asked = process.argv.slice(2)
const unknown = asked.filter(name => !rows.some(row => row.name === name))
if (unknown.length) throw new Error(`Expected names of rows (${rows.map(({ name }) => name).join(', ')}), got ${unknown.join(', ')}.`)

/** Open files for the largest rows: one socket per reader in both processes, and a margin. */
const OPEN_FILES = 11_000
const { open_files: openFiles } = (process.report.getReport() as unknown as { userLimits: Record<string, { soft: number | 'unlimited' }> }).userLimits
if (Number(openFiles?.soft) < OPEN_FILES) console.warn(`Only ${openFiles!.soft} files may be open: rows with 10,000 readers will fail. Run \`ulimit -n 20000\` first.`)

const only = process.env.BENCH_PEERS?.split(',')
const context: BenchContext = {
  rounds: Number(process.env.BENCH_ROUNDS ?? 5),
  peers: all => all.filter(peer => !only || only.includes(peer)),
  alternate: (names, measure) => alternate(names, context.rounds, measure),
  async withServer(task, env) {
    const server = await startServer(env)
    const load = new Load()
    try {
      return await task(server, load)
    }
    finally {
      await load.ask({ type: 'close' })
      load.stop()
      await server.stop()
    }
  },
  log: text => console.log(text),
}

if (!process.env.BENCH_NO_BUILD) {
  console.log('Building bench/app …')
  execFileSync(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'build', 'bench/app'], { cwd: root, env: { ...process.env, NODE_ENV: 'production' }, stdio: ['ignore', 'ignore', 'inherit'] })
}
for (const row of rows.filter(({ name }) => asked.length === 0 || asked.includes(name))) {
  console.log(`\n${row.title}`)
  const table = await row.run(context)
  if (!process.env.BENCH_NO_WRITE) writeTable(row, table)
}
