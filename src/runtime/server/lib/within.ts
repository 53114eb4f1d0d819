/**
 * Settles as `promise` does, or rejects with `tooLate()` at the time `until`, as `performance.now()`. The work of the promise is not
 * cancelled.
 */
export async function within<T>(until: number, promise: Promise<T>, tooLate = () => new Error('No response within the time limit.')): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooLate()), Math.max(0, until - performance.now()))
  })
  try {
    return await Promise.race([promise, late])
  }
  finally {
    clearTimeout(timer)
  }
}

/** Resolves when all promises that `open` returns are settled, including those added meanwhile, or after `withinMs`. */
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
