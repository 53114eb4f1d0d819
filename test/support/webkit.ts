import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { freePort } from './built-server'

/**
 * WebKitGTK's MiniBrowser, under a virtual display, through the W3C's WebDriver protocol: no library of npm drives Debian's WebKit without
 * a browser of its own.
 */
export interface WebKit {
  /** Process of the driver, which has started the browser. */
  pid: number
  /** Handle of the tab in front, which stays open, as a session ends with its last tab. */
  front: string
  /** Opens a tab, and returns its handle. */
  open(): Promise<string>
  /** Sends a command to a tab. Commands wait for each other, as a session has one current tab. */
  command<T>(tab: string, method: string, path: string, body?: object): Promise<T>
  close(): Promise<void>
}

/** Time after which the driver has lost a command. It can do the next one. */
const MAX_COMMAND_MS = 30_000

/** `home`: where the browser keeps what it saves. */
export async function launchWebKit(home: string): Promise<WebKit> {
  const display = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x800x24', '-nolisten', 'tcp', '-terminate'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
  const [number] = await once(display.stdio[3] as Readable, 'data')
  const port = await freePort()
  const driver = spawn('WebKitWebDriver', [`--port=${port}`, '--host=127.0.0.1'], { stdio: 'ignore', env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home, XDG_DATA_HOME: home, DISPLAY: `:${String(number).trim()}`, LIBGL_ALWAYS_SOFTWARE: '1' } })

  async function send<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body), signal: AbortSignal.timeout(MAX_COMMAND_MS) })
    const { value } = await response.json() as { value: T & { error?: string, message?: string } }
    if (!response.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`)
    return value
  }

  await listening(() => send('GET', '/status'))
  const { sessionId } = await send<{ sessionId: string }>('POST', '/session', { capabilities: {} })
  const session = `/session/${sessionId}`
  const front = await send<string>('GET', `${session}/window`)
  let current = front
  let last: Promise<unknown> = Promise.resolve()

  /** After all earlier ones. */
  function queue<T>(task: () => Promise<T>): Promise<T> {
    const next = last.then(task)
    last = next.catch(() => {})
    return next
  }

  async function select(handle: string): Promise<void> {
    if (current !== handle) await send('POST', `${session}/window`, { handle })
    current = handle
  }

  return {
    pid: driver.pid!,
    front,
    open: () => queue(async () => {
      await select(front)
      const { handle } = await send<{ handle: string }>('POST', `${session}/window/new`, { type: 'tab' })
      return handle
    }),
    command: (tab, method, path, body) => queue(async () => {
      await select(tab)
      return send(method, session + path, body)
    }),
    async close() {
      await queue(() => send('DELETE', session)).catch(() => {})
      await end(driver)
      await end(display)
    },
  }
}

/** Resolves when a request succeeds. Without `vi`, as Vitest's own process calls it too. */
async function listening(request: () => Promise<unknown>): Promise<void> {
  for (const until = performance.now() + 20_000; ;) {
    try {
      return void await request()
    }
    catch (error) {
      if (performance.now() > until) throw error
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill()
  await exited
}
