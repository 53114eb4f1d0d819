import { execFileSync } from 'node:child_process'
import process from 'node:process'

/** Chromium alone, and nothing that it would fetch for itself. */
export const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

/** The one on the PATH, as `npm test` has made sure that there is one. */
export function chromiumPath(): string {
  return process.env.CHROMIUM_PATH || execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim()
}
