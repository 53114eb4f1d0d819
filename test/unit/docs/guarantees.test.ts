import { glob } from 'node:fs/promises'
import { beforeAll, expect, it } from 'vitest'
import { testTitlesOf } from '../../support/declarations'
import { readPage } from '../../support/markdown'
import { rootDir } from '../../support/projects'

interface Section {
  kind: 'promise' | 'trap'
  number: number
  tests: string[]
}

/** `### 4. Bounded` and `23. A bound counts …` begin a section, and `- `file`: title` is a test in it. */
async function readSections(): Promise<Section[]> {
  const sections: Section[] = []
  for (const line of (await readPage('docs/contributing/guarantees.md')).split('\n')) {
    const [, marks, number] = /^(### )?(\d+)\. /.exec(line) ?? []
    if (number) sections.push({ kind: marks ? 'promise' : 'trap', number: Number(number), tests: [] })
    const [, file, title] = /^ *- `([\w/.-]+\.ts)`: (.+)$/.exec(line) ?? []
    if (file) sections.at(-1)!.tests.push(`${file}: ${title}`)
  }
  return sections
}

async function readTests(): Promise<string[]> {
  const tests: string[] = []
  for await (const file of glob('**/*.ts', { cwd: `${rootDir}/test`, exclude: ['fixtures/**'] })) {
    for (const title of testTitlesOf(`test/${file}`)) tests.push(`${file}: ${title}`)
  }
  return tests
}

/** Numbers of one kind in a title: `traps 7, 23: …`, `promises 1 and 2: …`. */
function numbersIn(title: string, kind: Section['kind']): number[] {
  const list = new RegExp(`\\b${kind}s? (\\d+(?:(?:, | and )\\d+)*)`).exec(title)?.[1] ?? ''
  return list.split(/\D+/).filter(Boolean).map(Number)
}

let sections: Section[]
let tests: string[]
beforeAll(async () => {
  sections = await readSections()
  tests = await readTests()
}, 60_000)

it('every promise and every trap has a test', () => {
  const numbers = (kind: Section['kind']) => sections.filter(section => section.kind === kind).map(({ number }) => number)
  expect(numbers('promise')).toEqual([1, 2, 3, 4, 5, 6])
  expect(numbers('trap')).toEqual(Array.from({ length: 47 }, (_, index) => index + 1))
  expect(sections.filter(({ tests }) => tests.length === 0)).toEqual([])
})

it('every named test exists', () => {
  const there = new Set(tests)
  const named = sections.flatMap(section => section.tests)
  expect(named.length).toBeGreaterThan(150)
  expect(named.filter(test => !there.has(test))).toEqual([])
})

it('every test that names a promise or a trap is listed', () => {
  const missing: string[] = []
  for (const test of tests) {
    for (const { kind, number, tests: named } of sections) {
      if (numbersIn(test, kind).includes(number) && !named.includes(test)) missing.push(`${kind} ${number}: ${test}`)
    }
  }
  expect(missing).toEqual([])
})
