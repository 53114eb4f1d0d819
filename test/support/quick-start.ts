import { readBlocks, readPage } from './markdown'

export interface QuickStart {
  commands: string[]
  /** Files by their path. */
  files: Record<string, string>
}

/** Commands and files of the README's section "Quick set-up", for a test that follows them to the letter. */
export async function readQuickStart(): Promise<QuickStart> {
  const [, section] = /^## Quick set-up\n(.*?)^## /ms.exec(await readPage('README.md')) ?? []
  if (!section) throw new Error('README.md has no section "Quick set-up".')
  const quickStart: QuickStart = { commands: [], files: {} }
  for (const { language, file, text } of readBlocks(section)) {
    if (language === 'sh') {
      quickStart.commands.push(...text.trim().split('\n'))
      continue
    }
    if (!file) throw new Error(`A block of the quick start does not name its file:\n${text}`)
    quickStart.files[file] = text
  }
  return quickStart
}
