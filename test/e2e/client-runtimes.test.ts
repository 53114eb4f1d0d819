import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { rootDir } from '../support/projects'

interface Report {
  success: boolean
  numPassedTests: number
  testResults: { name: string, assertionResults: { status: string, fullName: string, failureMessages: string[] }[] }[]
}

// The tests of the client in Node, as they are: parsing, reconnects, positions, hand-overs, endings.
it.concurrent.each([
  ['bun', ['--bun']],
  ['deno', ['run', '--allow-all', '--no-prompt']],
])('openSSE passes its tests in %s', async (runtime, args) => {
  const dir = await mkdtemp(join(tmpdir(), 'nuxt-sse-client-'))
  try {
    const outputFile = join(dir, 'report.json')
    const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/client.config.ts', '--reporter=json', `--outputFile=${outputFile}`]
    // What fails is in the report, with its reason.
    const said = await promisify(execFile)(join(rootDir, 'node_modules/.bin', runtime), [...args, ...vitest], { cwd: rootDir, env: { ...process.env, SSE_TEST_RUNTIME: runtime }, maxBuffer: 1e8 }).then(() => '', error => String(error.stdout) + error.stderr)
    const report = await readFile(outputFile, 'utf8').then(text => JSON.parse(text) as Report, () => {
      throw new Error(said)
    })
    const failed = report.testResults.flatMap(({ assertionResults }) => assertionResults.filter(({ status }) => status !== 'passed'))
    expect(failed.map(({ fullName, failureMessages }) => [fullName, ...failureMessages])).toEqual([])
    expect(report.success).toBe(true)
    expect(report.testResults).toHaveLength(7)
    expect(report.numPassedTests).toBeGreaterThan(100)
  }
  finally {
    await rm(dir, { recursive: true, force: true })
  }
}, 120_000)
