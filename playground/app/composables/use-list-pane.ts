/** The list over a network of its own, which can be cut. */
export function useListPane() {
  const isCut = ref(false)
  const { tab } = useTab()
  let line = new AbortController()

  /** Rejects while the network is cut, and aborts when it is. */
  function over<T>(signal: AbortSignal | null | undefined, request: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (isCut.value) return Promise.reject(new TypeError('The network is cut.'))
    return request(signal ? AbortSignal.any([signal, line.signal]) : line.signal)
  }

  const connection = useSSE('/api/list/stream', {
    ssr: true,
    query: () => ({ tab: tab.value }),
    fetch: (input, init) => over(init?.signal, signal => fetch(input, { ...init, signal })),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    initial: [],
    load: ({ signal, $fetch }) => over(signal, signal => $fetch('/api/list', { signal })),
    reduce: (items, { data: { id, item } }) => {
      const others = items.filter(one => one.id !== id)
      return item ? [...others, item].sort((a, b) => a.id - b.id) : others
    },
  })

  function toggle(): void {
    isCut.value = !isCut.value
    if (!isCut.value) return connection.connect()
    line.abort()
    line = new AbortController()
  }

  return { connection, isCut, toggle }
}
