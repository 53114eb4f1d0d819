import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'
import { rootDir } from '../support/projects'

declare module 'vitest' {
  interface ProvidedContext { tarball: string }
}

/** Packs the package once for all applications that install it: two builds at a time would write to one `dist`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = await mkdtemp(join(tmpdir(), 'nuxt-sse-tarball-'))
  await promisify(execFile)('npm', ['pack', '--pack-destination', dir], { cwd: rootDir, maxBuffer: 1e8, env: { ...process.env, npm_config_workspaces: undefined } })
  project.provide('tarball', join(dir, (await readdir(dir)).find(name => name.endsWith('.tgz'))!))
  return () => rm(dir, { recursive: true, force: true })
}
