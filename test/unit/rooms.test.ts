import { existsSync } from 'node:fs'
import { glob, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { beforeAll, expect, it } from 'vitest'
import { rootDir } from '../support/projects'

/** Imports of each file in `src/`, including types, as paths below the root. */
const imports = new Map<string, string[]>()

beforeAll(async () => {
  for await (const file of glob('src/**/*.ts', { cwd: rootDir })) {
    const { importedFiles } = ts.preProcessFile(await readFile(join(rootDir, file), 'utf8'), true, true)
    const relative = importedFiles.map(({ fileName }) => fileName).filter(name => name.startsWith('.'))
    imports.set(file, relative.map(name => resolve(join(dirname(file), name))))
  }
})

function resolve(path: string): string {
  const found = [path, `${path}.ts`, `${path}/index.ts`].find(candidate => candidate.endsWith('.ts') && existsSync(join(rootDir, candidate)))
  if (!found) throw new Error(`Nothing is at ${path}.`)
  return found
}

/** Room of a file: a folder of the server, another folder of `runtime/`, or `build`. A file between them is a room of its own. */
function roomOf(file: string): string {
  return /^src\/(?:runtime\/)?(?:server\/)?([\w-]+)\//.exec(file)?.[1] ?? file
}

/** Groups of nodes that reach each other (Tarjan, 1972, in its simple form: mutual reachability). */
function circlesIn(graph: Map<string, Iterable<string>>): string[][] {
  const reach = new Map([...graph.keys()].map(node => [node, reachable(graph, node)]))
  const circles = [...graph.keys()].map(node => [...reach.get(node)!].filter(other => reach.get(other)!.has(node)).sort())
  return [...new Map(circles.filter(({ length }) => length > 1).map(circle => [circle.join(), circle])).values()]
}

function reachable(graph: Map<string, Iterable<string>>, start: string): Set<string> {
  const seen = new Set<string>()
  const left = [start]
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    for (const next of graph.get(node) ?? []) {
      if (seen.has(next)) continue
      seen.add(next)
      left.push(next)
    }
  }
  return seen
}

it('finds existing circles', () => {
  expect(circlesIn(new Map([['a', ['b']], ['b', ['c']], ['c', ['b']], ['d', ['a']]]))).toEqual([['b', 'c']])
})

it('no file imports itself through others', () => {
  expect(imports.size).toBeGreaterThan(150)
  expect(circlesIn(imports)).toEqual([])
})

it('no room imports itself through others', () => {
  const rooms = new Map<string, Set<string>>()
  for (const [file, targets] of imports) {
    const room = roomOf(file)
    const others = rooms.get(room) ?? new Set()
    for (const target of targets) if (roomOf(target) !== room) others.add(roomOf(target))
    rooms.set(room, others)
  }
  expect(rooms.size).toBeGreaterThan(20)
  expect(circlesIn(rooms)).toEqual([])
})

it('the tree of AGENTS.md has every folder of the source, and no other', async () => {
  const page = await readFile(join(rootDir, 'AGENTS.md'), 'utf8')
  const tree = /## Tree\n[\s\S]*?```\n([\s\S]*?)```/.exec(page)![1]!
  const path: string[] = []
  const named = new Set<string>()
  for (const line of tree.split('\n').filter(Boolean)) {
    const depth = /^ */.exec(line)![0].length / 2
    // The part before the explanation, which two spaces separate.
    const names = line.trim().split(/ {2,}/)[0]!.split(' ').filter(name => name.endsWith('/'))
    path.length = depth
    for (const name of names) named.add([...path, name].join(''))
    if (names.length === 1) path[depth] = names[0]!
  }
  const folders = new Set<string>()
  for (const file of imports.keys()) for (let dir = dirname(file); dir !== 'src'; dir = dirname(dir)) folders.add(`${dir}/`)
  expect([...named].filter(name => name.startsWith('src/') && !existsSync(join(rootDir, name)))).toEqual([])
  expect([...folders].filter(folder => !named.has(folder))).toEqual([])
})
