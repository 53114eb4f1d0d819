import type { Sample } from '#shared/types/sample'

/** Samples that the server measures of itself, fifty times a second. `take` is called for each message: that rate is too high for a ref. */
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
