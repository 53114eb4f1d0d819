import { execFileSync } from 'node:child_process'
import process from 'node:process'

/** Arguments that keep Chromium from sending requests of its own. */
export const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

/** Chromium on the PATH, which `npm test` makes sure of. */
export function chromiumPath(): string {
  return process.env.CHROMIUM_PATH || execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim()
}
