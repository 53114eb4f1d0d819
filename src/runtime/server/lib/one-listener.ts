/**
 * Puts any number of callbacks behind one listener on a target: `listen` is called once for each target, with what calls them all. The
 * returned function adds a callback, and returns what removes it. Emitters and signals go through all their listeners whenever
 * one is added or removed: with one each, 20,000 waiting requests held the process for six seconds; and Node warns of more than ten.
 */
export function behindOneListener<Target extends object>(listen: (target: Target, callAll: () => void) => void): (target: Target, callback: () => void) => () => void {
  const targets = new WeakMap<Target, Set<() => void>>()
  return (target, callback) => {
    let callbacks = targets.get(target)
    if (!callbacks) {
      const made = callbacks = new Set()
      targets.set(target, made)
      listen(target, () => {
        for (const call of made) call()
      })
    }
    callbacks.add(callback)
    return () => void callbacks.delete(callback)
  }
}
