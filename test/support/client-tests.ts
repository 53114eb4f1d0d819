import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { rootDir } from './projects'

interface Report {
  numPassedTests: number
  testResults: { assertionResults: { status: string, fullName: string, failureMessages: string[] }[] }[]
}

export interface ClientTests {
  /** File in `test/`, without its ending. */
  config: 'client' | 'engine'
  /** Command that runs Vitest, before its path. */
  command: string[]
  files: number
  /** Tests that are skipped there. */
  skipped?: string[]
  /** Tests that fail there, for a reason in the docs. */
  failing?: string[]
}

/** Runs the tests of the client in another runtime, unchanged: parsing, reconnects, positions, hand-overs, endings. */
export async function expectClientTestsPass(runtime: string, { config, command: [command, ...args], files, skipped = [], failing = [] }: ClientTests): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'nuxt-sse-client-'))
  try {
    const outputFile = join(dir, 'report.json')
    const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', `test/${config}.config.ts`, '--reporter=json', `--outputFile=${outputFile}`]
    // The report names each failure, with its reason.
    const said = await promisify(execFile)(command!, [...args, ...vitest], { cwd: rootDir, env: { ...process.env, SSE_TEST_RUNTIME: runtime }, maxBuffer: 1e8 }).then(() => '', error => String(error.stdout) + error.stderr)
    const report = await readFile(outputFile, 'utf8').then(text => JSON.parse(text) as Report, () => undefined)
    if (!report?.testResults.length) throw new Error(said)
    const results = report.testResults.flatMap(({ assertionResults }) => assertionResults)
    const failed = results.filter(({ status }) => !['passed', 'skipped', 'pending'].includes(status))
    expect(failed.filter(({ fullName }) => !failing.includes(fullName)).map(({ fullName, failureMessages }) => [fullName, ...failureMessages])).toEqual([])
    expect(failed).toHaveLength(failing.length)
    expect(results.filter(result => result.status !== 'passed' && !failed.includes(result)).map(({ fullName }) => fullName).sort()).toEqual([...skipped].sort())
    expect(report.testResults).toHaveLength(files)
    expect(report.numPassedTests).toBeGreaterThan(100)
  }
  finally {
    await rm(dir, { recursive: true, force: true })
  }
}
