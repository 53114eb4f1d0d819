/** Resolves when all promises that `open` gives are settled, with those that were added meanwhile, or when the time is up. */
export async function settled(open: () => Promise<unknown>[], withinMs: number): Promise<void> {
  const { promise: timeUp, resolve } = Promise.withResolvers<false>()
  const timer = setTimeout(resolve, withinMs, false)
  try {
    for (let left = open(); left.length > 0 && await Promise.race([timeUp, Promise.allSettled(left)]);) left = open()
  }
  finally {
    clearTimeout(timer)
  }
}
