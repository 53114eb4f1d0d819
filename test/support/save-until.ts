import { writeFile } from 'node:fs/promises'
import { eventually } from './conditions'

/** Time between two saves of a file. */
const AGAIN_MS = 5_000

/** Saves a file that a development server watches, and again until `check` does not throw: a watcher that is busy may miss a change. */
export async function saveUntil(file: string, text: string, check: () => unknown): Promise<void> {
  await writeFile(file, text)
  const saving = setInterval(() => void writeFile(file, text), AGAIN_MS)
  try {
    await eventually(check, 50_000)
  }
  finally {
    clearInterval(saving)
  }
}
