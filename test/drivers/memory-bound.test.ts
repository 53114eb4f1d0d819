import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { serverAliases } from '../../src/build/server-parts.ts'

/** Messages of 1 MiB: with `SSE_GIGABYTE=1` a whole gigabyte, otherwise enough to exceed the limit by far if the driver kept them. */
const MESSAGES = process.env.SSE_GIGABYTE ? 1_024 : 384
/** Limit in MiB: the highest measured values (198 and 164), plus 10 %. The log takes 64, Node itself 50, and strings that V8 has not collected the rest. */
const LIMIT_MIB = process.env.SSE_GIGABYTE ? 218 : 181

/** Publishes on one channel, and prints the peak memory of the process in MiB. */
const PUBLISHER = `
  import { Channel } from './channel/channel'
  import { createSSEContext } from './context/context'
  import { DEFAULT_HANDLER_OPTIONS } from './options'

  const context = createSSEContext({ options: DEFAULT_HANDLER_OPTIONS })
  const channel = new Channel(context, 'large')
  const filler = 'x'.repeat(1_048_576 - 20)
  let peak = 0
  for (let n = 0; n < Number(process.argv[2]); n++) {
    await channel.publish(n + filler)
    if (n % 8 === 0) await new Promise(resolve => setImmediate(resolve))
    peak = Math.max(peak, process.memoryUsage.rss())
  }
  const { messages, lastOffset } = await channel.info()
  console.log(JSON.stringify({ peakMiB: peak / 1_048_576, messages, lastOffset }))
  process.exit(0)
`

let dir: string
let script: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sse-memory-'))
  script = join(dir, 'publisher.mjs')
  const runtime = (path: string) => fileURLToPath(new URL(`../../src/runtime/${path}`, import.meta.url))
  const { outputFiles } = await build({
    stdin: { contents: PUBLISHER, resolveDir: runtime('server'), loader: 'ts' },
    alias: serverAliases({ redis: false, node: true }, runtime),
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
  })
  await writeFile(script, outputFiles[0]!.text)
})
afterAll(() => rm(dir, { recursive: true }))

// @guarantee bounded
it('a gigabyte in messages of 1 MiB on one memory channel takes less than 250 MB with the defaults', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [script, String(MESSAGES)])
  const { peakMiB, messages, lastOffset } = JSON.parse(stdout)
  expect(lastOffset).toBe(MESSAGES)
  expect(messages).toBe(64)
  expect(peakMiB).toBeLessThan(LIMIT_MIB)
})
