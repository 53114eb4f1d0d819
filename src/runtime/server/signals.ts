import { closeSSEContext, leaveSSEContext } from './nitro'

/** With these presets Nitro's server ignores signals: whoever listens to one must also end the process. */
const DO_NOT_EXIT = ['bun', 'deno-server']
/** How long their sockets may take to send the last bytes: nothing tells when they have. */
const LAST_BYTES_MS = 250

/**
 * Ends all streams when the process is told to go. Nitro's Node server first waits for every open connection, 30 s at most, and
 * calls its `close` hook only then: an open stream would hold back each deploy by half a minute. So the signal itself is
 * listened for. `undefined` where there are none, or where a listener would only take away the runtime's own reaction,
 * which is to exit.
 *
 * `othersExit`: whether somebody else ends the process.
 */
export function listenToSignals(preset: string | undefined, othersExit: (signal: NodeJS.Signals) => boolean = () => !DO_NOT_EXIT.includes(preset ?? '')): string[] | undefined {
  // Read from `globalThis`: for a bare `process`, bundlers add a polyfill on runtimes that have none.
  const { process } = globalThis
  if (process?.env?.NITRO_SHUTDOWN_DISABLED || typeof process?.on !== 'function') return undefined
  const signals = (process.env.NITRO_SHUTDOWN_SIGNALS || 'SIGTERM SIGINT').split(' ').map(signal => signal.trim()).filter(Boolean)
  const onSignal = (signal: NodeJS.Signals) => {
    if (othersExit(signal)) leaveSSEContext()
    else void closeSSEContext().then(() => setTimeout(() => process.exit(0), LAST_BYTES_MS))
  }
  // Not `once`: the second of an impatient operator would be the runtime's own reaction again, in the midst of the shutdown.
  for (const signal of signals) process.on(signal, onSignal)
  return signals
}
