import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { nitroBuilds, nitroProject, projects, rootDir } from '../support/projects'

/** Builds each application once: a build a test file would be most of the time of a run. */
export default async function setup(): Promise<void> {
  for (const dir of Object.values(projects)) {
    await promisify(execFile)(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'build', dir], { cwd: rootDir, env: { ...process.env, NODE_ENV: 'production' } })
  }
  for (const preset of nitroBuilds) {
    await promisify(execFile)(process.execPath, ['node_modules/nitropack/dist/cli/index.mjs', 'build', '--dir', nitroProject], { cwd: rootDir, env: { ...process.env, NODE_ENV: 'production', NITRO_PRESET: preset } })
  }
}
