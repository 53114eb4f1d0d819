/**
 * Cost of a type check of an application with many typed routes and calls. `node bench/type-checks.ts [routes=300] [checkout=.] [several]`:
 * for a checkout that was prepared (`npm run dev:prepare`), with routes of one channel or of several. Prints the fastest of five (`RUNS`)
 * runs: what else the machine does only adds to it.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const [count = '300', checkout = '.', kind = 'one'] = process.argv.slice(2)
const root = resolve(checkout)
const ROUTES = Array.from({ length: Number(count) }, (_, index) => index)
const RUNS = Number(process.env.RUNS ?? 5)

mkdirSync(join(root, 'node_modules/.cache'), { recursive: true })
const dir = mkdtempSync(join(root, 'node_modules/.cache/type-checks-'))

const channel = (n: number, name: string) => `useSSEChannel<{ id: number, title${n}: string, tags: string[], by?: { name: string } }>('${name}')`
const source = (n: number) => kind === 'several' ? `useSSEChannels({ one: ${channel(n, `one:${n}`)}, two: ${channel(n, `two:${n}`)}, three: useSSEChannel<number>('three') })` : channel(n, `one:${n}`)

function route(n: number): string {
  return `import { defineSSEHandler, useSSEChannel${kind === 'several' ? ', useSSEChannels' : ''} } from '${root}/src/runtime/server/api'
export default defineSSEHandler(() => ${source(n)})
`
}

/** Two calls: one as it comes, and one with the usual options. */
function page(n: number): string {
  const options = kind === 'several' ? `share: 'page', channel: 'two', ` : ''
  return `import { useSSE } from '${root}/src/runtime/app/composables/use-sse'
export const { message } = useSSE('/api/r${n}', { on: { '*': one => void one.data } })
export const { data: list } = useSSE('/api/r${n}', { ${options}initial: [] as string[], reduce: (all, { data }) => [...all, data.title${n}] })
`
}

const types = `import type { Serialize, Simplify } from 'nitropack/types'
declare module 'nitropack/types' {
  interface InternalApi {
${ROUTES.map(n => `    '/api/r${n}': { get: Simplify<Serialize<Awaited<ReturnType<typeof import('./r${n}').default>>>> }`).join('\n')}
  }
}
export {}
`

try {
  for (const n of ROUTES) {
    writeFileSync(join(dir, `r${n}.ts`), route(n))
    writeFileSync(join(dir, `page${n}.ts`), page(n))
  }
  writeFileSync(join(dir, 'types.d.ts'), types)
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions: { noEmit: true, incremental: false, skipLibCheck: true }, exclude: [], include: ['./*.ts', join(root, '.nuxt/nuxt.d.ts')] }))
  const runs = Array.from({ length: RUNS }, () => {
    const output = execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', dir, '--extendedDiagnostics'], { encoding: 'utf8' })
    const figure = (name: string) => Number(new RegExp(`^${name}:\\s+([\\d.]+)`, 'm').exec(output)![1])
    return { total: figure('Total time'), check: figure('Check time'), instantiations: figure('Instantiations') }
  }).sort((a, b) => a.total - b.total)
  const { total, check, instantiations } = runs[0]!
  console.log(`${ROUTES.length} routes, ${kind}: ${total} s, of it ${check} s to check; ${instantiations} instantiations (${runs.map(run => run.total).join(', ')} s)`)
}
finally {
  rmSync(dir, { recursive: true })
}
