import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LATEST, install } from '../support/install'
import { differencesFrom, nuxt5Dir, readLockfile } from '../support/locked-packages'
import { rootDir } from '../support/projects'

/** `install` installs every application of these tests, and compares all that npm has installed. This test checks that it would notice a difference. */

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nuxt-sse-install-'))
  await writeFile(join(dir, 'package.json'), JSON.stringify({ name: 'app', private: true, dependencies: { ufo: '*', unstorage: '*' } }))
  await install(dir)
})
afterAll(() => rm(dir, { recursive: true, force: true }))

describe.skipIf(LATEST)('an installed application', () => {
  it('has the versions of the lockfile, of its dependencies and of theirs', async () => {
    const [locked, installed] = [await readLockfile(rootDir), await readLockfile(dir, 'node_modules/.package-lock.json')]
    expect(Object.keys(installed).length).toBeGreaterThan(5)
    for (const path of Object.keys(installed)) expect([path, installed[path]!.version]).toEqual([path, locked[path]!.version])
  })

  it('is refused with another version, and with a package that is not locked', async () => {
    const locked = await readLockfile(rootDir)
    expect(await differencesFrom(locked, dir)).toEqual([])
    const { version } = locked['node_modules/ufo']!
    expect(await differencesFrom({ ...locked, 'node_modules/ufo': { version: '0.0.1' } }, dir)).toEqual([`node_modules/ufo: 0.0.1 → ${version}`])
    expect(await differencesFrom({ ...locked, 'node_modules/ufo': {} }, dir)).toEqual([`node_modules/ufo: not locked → ${version}`])
  })
})

it('the lockfile for Nuxt 5 agrees with package.json and with the Vite of the repository', async () => {
  const readManifest = async (path: string) => JSON.parse(await readFile(join(path, 'package.json'), 'utf8'))
  const [root, nuxt5] = [await readManifest(rootDir), await readManifest(nuxt5Dir)]
  const { nuxt, ...others } = nuxt5.dependencies
  expect(nuxt).toMatch(/^npm:nuxt-nightly@5\.\d+\.\d+-\d+\.\w+$/)
  for (const [name, range] of Object.entries(others)) expect([name, range]).toEqual([name, root.dependencies[name] ?? root.devDependencies[name]])
  const vite = (await readLockfile(rootDir))['node_modules/vite']!.version
  expect((await readLockfile(nuxt5Dir))['node_modules/vite']!.version).toBe(vite)
})
