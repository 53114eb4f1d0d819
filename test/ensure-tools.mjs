// What the tests run and npm does not have: installed with apt where we may, named where we may not.
import { spawnSync } from 'node:child_process'
import process from 'node:process'

const TOOLS = [
  { command: process.env.CHROMIUM_PATH || 'chromium', package: 'chromium' },
  { command: process.env.FIREFOX_PATH || 'firefox-esr', package: 'firefox-esr' },
  // WebKit, and a display for it: it has no headless mode.
  { command: 'WebKitWebDriver', package: 'webkit2gtk-driver' },
  { command: 'Xvfb', package: 'xvfb' },
  { command: 'redis-server', package: 'redis-server' },
  // Certificates, for a Redis over TLS.
  { command: 'openssl', package: 'openssl' },
  // A proxy that buffers.
  { command: 'nginx', package: 'nginx-light' },
]

const missing = TOOLS.filter(({ command }) => spawnSync('sh', ['-c', 'command -v "$1"', 'sh', command]).status !== 0)

if (missing.length) {
  const packages = missing.map(tool => tool.package)
  const isRoot = process.getuid?.() === 0
  const hasApt = spawnSync('sh', ['-c', 'command -v apt-get']).status === 0
  if (!isRoot || !hasApt) {
    console.error(`The tests need ${packages.join(' and ')}. Install with your system's package manager, for example: sudo apt-get install ${packages.join(' ')}`)
    process.exit(1)
  }
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', ...packages]]) {
    const { status } = spawnSync('apt-get', args, { stdio: 'inherit', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
    if (status !== 0) process.exit(status ?? 1)
  }
}
