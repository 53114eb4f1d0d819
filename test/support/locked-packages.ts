import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { rootDir } from './projects.ts'

/** Packages by their path under an application, for example `node_modules/h3`, as npm's lockfile describes them. */
export type LockedPackages = Record<string, { version?: string, link?: boolean }>

const readJson = async (path: string) => JSON.parse(await readFile(path, 'utf8'))

/** Packages of the lockfile in `dir`, without links and without the application itself. */
export async function readLockfile(dir: string, name = 'package-lock.json'): Promise<LockedPackages> {
  const { packages } = await readJson(join(dir, name)) as { packages: LockedPackages }
  return Object.fromEntries(Object.entries(packages).filter(([path, { link }]) => path.startsWith('node_modules/') && !link))
}

/** Folder of the lockfile with the versions for the test of Nuxt 5. `npm run test:pin` writes it. */
export const nuxt5Dir = join(rootDir, 'test/package/nuxt5')

/**
 * Gives the application in `dir` a lockfile with all of `packages`: npm takes each package that the application needs from there,
 * at that version and place, and drops the rest. A package without an entry would be resolved from the registry.
 */
export async function writeLockfile(dir: string, packages: LockedPackages): Promise<void> {
  const manifest = await readJson(join(dir, 'package.json'))
  await writeFile(join(dir, 'package-lock.json'), JSON.stringify({ name: manifest.name, lockfileVersion: 3, requires: true, packages: { '': manifest, ...packages } }))
}

/** Installed packages that differ from `packages` in version or place, one line each. The package under test is not compared. */
export async function differencesFrom(packages: LockedPackages, dir: string): Promise<string[]> {
  const installed = await readLockfile(dir, 'node_modules/.package-lock.json')
  return Object.entries(installed)
    .filter(([path, { version }]) => path !== 'node_modules/nuxt-sse' && packages[path]?.version !== version)
    .map(([path, { version }]) => `${path}: ${packages[path]?.version ?? 'not locked'} → ${version}`)
}
