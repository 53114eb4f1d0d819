import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LATEST } from './install'
import { nuxt5Dir } from './locked-packages'
import { rootDir } from './projects'

/** Packages that the tests themselves depend on, so the canary does not update them. */
const TOOLS = ['typescript', 'vue-tsc', '@types/node']
/** Packages whose tag `latest` is older than their betas. */
const PRERELEASES = ['nitro']

const readManifest = async (dir: string) => JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')) as Record<'dependencies' | 'devDependencies', Record<string, string>>

/** Version ranges for the applications that tests install: those of `package.json`, or the newest under `npm run test:latest`. */
export async function versionsOf(...names: string[]): Promise<Record<string, string>> {
  const { devDependencies } = await readManifest(rootDir)
  return Object.fromEntries(names.map(name => [name, newest(name, devDependencies[name]!)]))
}

function newest(name: string, range: string): string {
  if (!LATEST || TOOLS.includes(name)) return range
  return PRERELEASES.includes(name) ? `>=${range}` : 'latest'
}

/** The nightly of Nuxt 5, by its number: nightlies change. */
export const nuxtNightly = async (): Promise<string> => LATEST ? 'npm:nuxt-nightly@latest' : (await readManifest(nuxt5Dir)).dependencies.nuxt!
