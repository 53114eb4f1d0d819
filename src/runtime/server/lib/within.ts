/** Settles as `promise` does, or rejects when `until` (in `performance.now()` time) comes first. What it stands for may still happen. */
export async function within<T>(until: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('There was no answer in time.')), Math.max(0, until - performance.now()))
  })
  try {
    return await Promise.race([promise, late])
  }
  finally {
    clearTimeout(timer)
  }
}
