import { leaveSSEContext } from './runtime-context'

/** Presets whose server is all that the process does. With others, the process belongs to somebody else, such as Express. */
const OWN_SERVER = ['node-server', 'node-cluster', 'bun', 'deno-server']
/** How long sockets may take to send the last bytes: nothing tells when they have. */
const LAST_BYTES_MS = 250
/** Marks the listeners of this package: two builds in one process have two of them, and neither ends the process for the other. */
const OURS = Symbol.for('nuxt-sse:signal')

export interface SignalsInit {
  preset: string | undefined
  /** Presets whose server never calls the hook `close`, whoever listens to signals. */
  neverClosed: string[]
  /** Calls that hook. May be called more than once. */
  close(): Promise<void>
}

/**
 * Ends all streams when the process is told to go. Nitro's Node server first waits for every open connection, 30 s at most, and
 * calls its `close` hook only then: an open stream would hold back each deploy by half a minute. So the signal itself is
 * listened for. `undefined` where there are none, or where a listener would only take away the runtime's own reaction,
 * which is to exit.
 *
 * A listener takes that reaction away. So where no other one is there, this calls `close` and ends the process: with code 0 where Nitro's own
 * server is all that it does, and otherwise with the same signal, as it would end without this package.
 */
export function listenToSignals({ preset = '', neverClosed, close }: SignalsInit): string[] | undefined {
  // Read from `globalThis`: for a bare `process`, bundlers add a polyfill on runtimes that have none.
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
  // Before all others: those that listen once are no longer there when they have been called. And not once ourselves: the second signal
  // of an impatient operator would be the runtime's own reaction again, in the midst of the shutdown.
  for (const signal of signals) process.prependListener(signal as NodeJS.Signals, onSignal)
  return signals
}
