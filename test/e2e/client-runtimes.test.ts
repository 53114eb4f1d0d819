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

/** Tests of what a page has none of: control of how much is read, and a missing location. */
const NOT_IN_PAGES = [
  'messages reads no further than a loop that is slow',
  ...['"/api/feed"', '"api/feed"', '"http://"', '""'].map(url => `a URL that cannot be requested ${url} is refused at once where there is no page, and not retried forever`),
  'a URL that cannot be requested a relative URL is requested in a page',
]
/** Fails in WebKit, for the reason in docs/guide/browsers.md. */
const CHANGED_IN_WEBKIT = ['messages gives data that is not JSON as plain text, and takes foreign IDs as they are']

// The tests of the client in Node, unchanged: parsing, reconnects, positions, hand-overs, endings.
it.concurrent.each<[runtime: string, args: string[], config: string, files: number, skipped: string[], differs: string[]]>([
  ['bun', ['--bun'], 'client', 7, [], []],
  ['deno', ['run', '--allow-all', '--no-prompt'], 'client', 7, [], []],
  // Inside a page, where the servers are another process.
  ['chromium', [], 'engine', 4, NOT_IN_PAGES, []],
  ['firefox', [], 'engine', 4, NOT_IN_PAGES, []],
  ['webkit', [], 'engine', 4, NOT_IN_PAGES, CHANGED_IN_WEBKIT],
])('openSSE passes its tests in %s', async (runtime, args, config, files, skipped, differs) => {
  const dir = await mkdtemp(join(tmpdir(), 'nuxt-sse-client-'))
  try {
    const outputFile = join(dir, 'report.json')
    const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', `test/${config}.config.ts`, '--reporter=json', `--outputFile=${outputFile}`]
    const command = config === 'engine' ? process.execPath : join(rootDir, 'node_modules/.bin', runtime)
    // The report names each failure, with its reason.
    const said = await promisify(execFile)(command, [...args, ...vitest], { cwd: rootDir, env: { ...process.env, SSE_TEST_RUNTIME: runtime }, maxBuffer: 1e8 }).then(() => '', error => String(error.stdout) + error.stderr)
    const report = await readFile(outputFile, 'utf8').then(text => JSON.parse(text) as Report, () => {
      throw new Error(said)
    })
    const results = report.testResults.flatMap(({ assertionResults }) => assertionResults)
    const failed = results.filter(({ status }) => !['passed', 'skipped', 'pending'].includes(status))
    expect(failed.filter(({ fullName }) => !differs.includes(fullName)).map(({ fullName, failureMessages }) => [fullName, ...failureMessages])).toEqual([])
    expect(failed).toHaveLength(differs.length)
    expect(results.filter(result => result.status !== 'passed' && !failed.includes(result)).map(({ fullName }) => fullName)).toEqual(skipped)
    expect(report.success).toBe(!differs.length)
    expect(report.testResults).toHaveLength(files)
    expect(report.numPassedTests).toBeGreaterThan(100)
  }
  finally {
    await rm(dir, { recursive: true, force: true })
  }
}, 120_000)
