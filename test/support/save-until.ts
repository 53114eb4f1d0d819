import { writeFile } from 'node:fs/promises'
import { eventually } from './conditions'

/** Time between two saves of a file: longer than a rebuild, which another save would begin again. */
const AGAIN_MS = 20_000

/** Saves a file that a development server watches, and again until `check` does not throw: a watcher that is busy may miss a change. */
export async function saveUntil(file: string, text: string, check: () => unknown): Promise<void> {
  await writeFile(file, text)
  const saving = setInterval(() => void writeFile(file, text), AGAIN_MS)
  try {
    await eventually(check, 100_000)
  }
  finally {
    clearInterval(saving)
  }
}
