import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { differencesFrom, readLockfile, writeLockfile } from './locked-packages'
import { rootDir } from './projects'

const run = promisify(execFile)

/** Set by `npm run test:latest`: applications get the newest versions. */
export const LATEST = process.env.SSE_LATEST === '1'

/** Environment for npm in an application outside the repository, when one of the repository's scripts calls it. */
export const npmEnv = { ...process.env, npm_config_workspaces: undefined, npm_config_audit: 'false', npm_config_fund: 'false', npm_config_prefer_offline: LATEST ? undefined : 'true', npm_config_ignore_scripts: 'true' }

/**
 * Runs `npm install` in an application, with the versions of the lockfile in `lockedBy`, by default the repository's.
 *
 * @throws When a package was installed in another version: a test must not depend on what a registry serves today.
 */
export async function install(dir: string, { args = [], lockedBy = rootDir }: { args?: string[], lockedBy?: string } = {}): Promise<void> {
  const packages = await readLockfile(lockedBy)
  if (LATEST) await rm(join(dir, 'package-lock.json'), { force: true })
  else await writeLockfile(dir, packages)
  await run('npm', ['install', ...args], { cwd: dir, maxBuffer: 1e8, env: npmEnv })
  const differences = await differencesFrom(packages, dir)
  if (LATEST) console.info(`${dir} has ${differences.length} packages that differ from the lockfile:\n${differences.join('\n')}`)
  else if (differences.length > 0) throw new Error(`These packages are not the locked ones. Add what is missing to package.json, or run \`npm run test:pin\`.\n${differences.join('\n')}`)
}
