import type { Sample } from '#shared/types/sample'

/** What the server measures of itself, fifty times a second. `take` is called for each message: that many are no matter for a ref. */
export function useSamples(take?: (sample: Sample) => void) {
  const { tab } = useTab()
  return useSwitchable((transports, before) => {
    const sse = useSSE('/api/samples/stream', {
      query: () => ({ tab: tab.value }),
      transports,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      position: before?.position.value,
    })
    if (take) sse.on('*', ({ data }) => take(data))
    return sse
  })
}
