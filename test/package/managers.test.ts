import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { readLockfile } from '../support/locked-packages'
import { rootDir } from '../support/projects'
import { readQuickStart } from '../support/quick-start'
import { SSEReader } from '../support/read-sse'
import { versionsOf } from '../support/versions'

/** The quick start with each package manager. `npm run test:managers`; npm itself is in consumer.test.ts. */

const bin = (name: string) => join(rootDir, 'node_modules/.bin', name)

interface Manager {
  files?: Record<string, string>
  /** Place of the pinned versions in package.json, or in a file of the manager's own. */
  pin(versions: Record<string, string>): { manifest?: object, files?: Record<string, string> }
  install: string[]
  build: string[]
}

const yarn: Pick<Manager, 'files' | 'pin'> = {
  // An empty lockfile marks a project of its own.
  files: { 'yarn.lock': '', '.yarnrc.yml': 'nodeLinker: node-modules\nenableTelemetry: false\nenableImmutableInstalls: false\nenableScripts: false\n' },
  pin: resolutions => ({ manifest: { resolutions } }),
}

const MANAGERS: Record<string, Manager> = {
  pnpm: {
    pin: overrides => ({ files: { 'pnpm-workspace.yaml': JSON.stringify({ overrides }) } }),
    install: ['pnpm', 'install', '--ignore-scripts', '--no-frozen-lockfile', '--prefer-offline'],
    build: ['pnpm', 'exec', 'nuxt', 'build'],
  },
  yarn: { ...yarn, install: ['yarn', 'install'], build: ['yarn', 'nuxt', 'build'] },
  bun: {
    pin: overrides => ({ manifest: { overrides } }),
    install: ['bun', 'install', '--ignore-scripts'],
    build: ['bun', 'run', 'nuxt', 'build'],
  },
}

let root: string
let pinned: Record<string, string>

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'nuxt-sse-managers-'))
  const versions = new Map<string, Set<string>>()
  for (const [path, { version, name }] of Object.entries(await readLockfile(rootDir)) as [string, { version: string, name?: string }][]) {
    const called = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    if (name === undefined || name === called) versions.set(called, (versions.get(called) ?? new Set()).add(version))
  }
  // Packages with several versions in the lockfile stay with the ranges of their dependents.
  pinned = Object.fromEntries([...versions].filter(([name, { size }]) => size === 1 && name !== 'nuxt-sse').map(([name, [version]]) => [name, version!]))
})
afterEach(stopBuiltServers)
afterAll(() => rm(root, { recursive: true, force: true }))

async function run(dir: string, [command, ...args]: string[]): Promise<void> {
  // The environment of the repository's own scripts would name its package.json, and its npm.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:npm_|INIT_CWD|TEST$|VITEST)/.test(name)))
  await promisify(execFile)(bin(command!), args, { cwd: dir, maxBuffer: 1e8, env: { ...env, CI: '1', NODE_ENV: undefined, NUXT_TELEMETRY_DISABLED: '1' } }).catch(({ stdout, stderr, message }) => {
    throw new Error([message, stdout, stderr].join('\n'))
  })
}

describe.each(Object.entries(MANAGERS))('%s', (name, { files = {}, pin, install, build }) => {
  it('installs the package, builds the quick start, and streams', async () => {
    const dir = join(root, name)
    const { manifest, files: pins } = pin(pinned)
    const all: Record<string, string> = {
      ...(await readQuickStart()).files,
      ...files,
      ...pins,
      'package.json': JSON.stringify({ name: 'app', private: true, type: 'module', dependencies: { ...await versionsOf('nuxt'), 'nuxt-sse': `file:${inject('tarball')}` }, ...manifest }),
    }
    for (const [path, text] of Object.entries(all)) {
      await mkdir(dirname(join(dir, path)), { recursive: true })
      await writeFile(join(dir, path), text)
    }
    await run(dir, install)
    // The package must find its dependencies where only they are.
    if (name === 'pnpm') expect(existsSync(join(dir, 'node_modules/h3'))).toBe(false)
    await run(dir, build)
    const server = await startBuiltServer({ dir })
    await using reader = await SSEReader.open(`${server.url}/api/clock`)
    await reader.until(({ data }) => data.length === 2)
    expect(reader.controls[0]).toMatchObject({ type: 'open' })
    const page = await fetch(server.url)
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('id="__nuxt"')])
    await reader.close()
  })
})
