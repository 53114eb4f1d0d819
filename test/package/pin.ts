// Pins the packages that the test of Nuxt 5 installs: `npm run test:pin`, or `npm run test:pin -- 5.0.0-29830089.dc519522` for another nightly.
import { execFileSync } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { nuxt5Dir, readLockfile } from '../support/locked-packages.ts'
import { rootDir } from '../support/projects.ts'

const readManifest = async (dir: string) => JSON.parse(await readFile(join(dir, 'package.json'), 'utf8'))

const { dependencies, devDependencies } = await readManifest(rootDir)
const nuxt = process.argv[2] ? `npm:nuxt-nightly@${process.argv[2]}` : (await readManifest(nuxt5Dir)).dependencies.nuxt
const wanted = Object.fromEntries(['nitro', 'ioredis', 'typescript', 'vue-tsc'].map(name => [name, devDependencies[name]]))
const vite = (await readLockfile(rootDir))['node_modules/vite']!.version

await writeFile(join(nuxt5Dir, 'package.json'), `${JSON.stringify({
  name: 'nuxt5',
  private: true,
  // The package's own dependencies stand in for the package.
  dependencies: { nuxt, ...wanted, ...dependencies },
  // The nightly accepts every newer Vite, also one with which it does not build.
  overrides: { vite },
}, null, 2)}\n`)
await rm(join(nuxt5Dir, 'package-lock.json'), { force: true })
execFileSync('npm', ['install', '--package-lock-only', '--ignore-scripts', '--omit-lockfile-registry-resolved'], { cwd: nuxt5Dir, stdio: 'inherit', env: { ...process.env, npm_config_workspaces: undefined } })
