/**
 * Runs `task` once, after everything that is now ready to run. What happens within one turn of the event loop is thus
 * gathered: one write for ten messages, one encoding for all readers.
 */
export const afterTick: (task: () => void) => void = typeof setImmediate === 'function'
  ? setImmediate
  : task => setTimeout(task, 0)
