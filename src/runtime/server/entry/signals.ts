import { leaveSSEContext } from './runtime-context'

/** Presets whose server is the process's only purpose. With others, the process belongs to other code, such as Express. */
const OWN_SERVER = ['node-server', 'node-cluster', 'bun', 'deno-server']
/** Time for sockets to send their last bytes, in milliseconds: no event reports when they have. */
const LAST_BYTES_MS = 250
/**
 * Marks the listeners of this package. Two builds in one process have two listeners: unmarked, each would expect the other to end the
 * process, and neither would.
 */
const OURS = Symbol.for('nuxt-sse:signal')

export interface SignalsInit {
  preset: string | undefined
  /** Presets whose server never calls the hook `close`, even if it listens to signals. */
  neverClosed: string[]
  /** Calls the hook `close`. May be called more than once. */
  close(): Promise<void>
}

/**
 * Ends all streams when the process receives a shutdown signal. Nitro's Node server first waits for every open connection, 30 s at most,
 * and only then calls its `close` hook: an open stream would delay each deploy by half a minute. So this listens for the signal itself.
 * Returns `undefined` if there are no signals, or if a listener would only replace the runtime's default reaction, which is to exit.
 *
 * A listener replaces that default. So if no other listener exists, this calls `close` and ends the process: with code 0 if Nitro's own
 * server is the process's only purpose, and otherwise with the same signal, as without this package.
 */
export function listenToSignals({ preset = '', neverClosed, close }: SignalsInit): string[] | undefined {
  // Read from `globalThis`: for a bare `process`, bundlers add a polyfill on runtimes without one.
  const { process } = globalThis
  if (process?.env?.NITRO_SHUTDOWN_DISABLED || typeof process?.prependListener !== 'function') return undefined
  const signals = (process.env.NITRO_SHUTDOWN_SIGNALS || 'SIGTERM SIGINT').split(' ').map(signal => signal.trim()).filter(Boolean)
  const isOwnServer = OWN_SERVER.includes(preset)
  const end = (signal: NodeJS.Signals) => {
    if (isOwnServer) return process.exit(0)
    process.off(signal, onSignal)
    process.kill(process.pid, signal)
  }
  const onSignal = Object.assign((signal: NodeJS.Signals) => {
    const isAlone = process.listeners(signal).every(listener => OURS in listener)
    if (!isAlone && !neverClosed.includes(preset)) return void leaveSSEContext()
    const closed = close()
    if (isAlone || isOwnServer) void closed.then(() => setTimeout(end, LAST_BYTES_MS, signal))
  }, { [OURS]: true })
  // Prepended: listeners added with `once` are removed when they are called, and would no longer be counted. Not registered with `once`:
  // the second signal of an impatient operator would trigger the runtime's default reaction in the middle of the shutdown.
  for (const signal of signals) process.prependListener(signal as NodeJS.Signals, onSignal)
  return signals
}
