import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { rootDir } from './projects'

export interface QuickStart {
  commands: string[]
  /** Files by their path, without the line with the name. */
  files: Record<string, string>
}

/** Steps of the README's quick start, so that a test can run exactly these. */
export async function readQuickStart(): Promise<QuickStart> {
  const readme = await readFile(join(rootDir, 'README.md'), 'utf8')
  const [, section] = /^## Quick set-up\n(.*?)^## /ms.exec(readme) ?? []
  if (!section) throw new Error('README.md has no section "Quick set-up".')
  const quickStart: QuickStart = { commands: [], files: {} }
  for (const [, language, text] of section.matchAll(/^```(\w+)\n(.*?)^```$/gms)) {
    if (language === 'sh') {
      quickStart.commands.push(...text!.trim().split('\n'))
      continue
    }
    const [, path] = /^(?:\/\/|<!--) (\S+)(?: -->)?\n/.exec(text!) ?? []
    if (!path) throw new Error(`A block of the quick start does not say which file it is:\n${text}`)
    quickStart.files[path] = text!.slice(text!.indexOf('\n') + 1)
  }
  return quickStart
}
