import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { nitroBuilds, nitroProject, projects, rootDir } from '../support/projects'
import { writeRecipes } from '../support/recipes'

const run = promisify(execFile)

/** Two cores: a third build at a time would make none of them faster. */
const AT_ONCE = 2

/** Builds each application once: a build a test file would be most of the time of a run. */
export default async function setup(): Promise<void> {
  // The build renders a page, with the plugins of the recipes.
  const env = { ...process.env, NODE_ENV: 'production', RECIPES: await writeRecipes(), DATABASE: ':memory:' }
  const builds = [
    ...Object.values(projects).map(dir => () => run(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'build', dir], { cwd: rootDir, env })),
    ...nitroBuilds.map(preset => () => run(process.execPath, ['node_modules/nitropack/dist/cli/index.mjs', 'build', '--dir', nitroProject], { cwd: rootDir, env: { ...env, NITRO_PRESET: preset } })),
  ]
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let build = builds.shift(); build; build = builds.shift()) await build()
  }))
}
