/** Settles as `promise` does, or rejects when `until` (in `performance.now()` time) comes first. What it stands for may still happen. */
export async function within<T>(until: number, promise: Promise<T>, tooLate = () => new Error('There was no answer in time.')): Promise<T> {
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
