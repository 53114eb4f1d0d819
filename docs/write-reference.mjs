// Writes the declarations of the source into the pages: `npm run docs:reference`, and at the begin of `npm run docs:build`.
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { withDeclarations } from './.vitepress/generated.mjs'

const docs = fileURLToPath(new URL('.', import.meta.url))

for (const page of globSync('*/*.md', { cwd: docs, exclude: name => name === 'node_modules' })) {
  const text = readFileSync(docs + page, 'utf8')
  const written = withDeclarations(text)
  if (written === text) continue
  writeFileSync(docs + page, written)
  console.log(`Wrote docs/${page}`)
}
