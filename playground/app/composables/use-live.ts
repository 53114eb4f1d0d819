/**
 * Notices of a user, the list of people who read theirs, and a job: three channels on one connection. `all` is the whole connection. `job` is
 * the ID of a job, whose channel joins as soon as there is one.
 */
export function useLive(job: () => string | undefined, headers?: () => Promise<Record<string, string>>) {
  const { tab } = useTab()
  const options = {
    share: 'page',
    query: () => ({ tab: tab.value, ...(job() && { job: job() }) }),
    headers,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  } as const
  const all = useSSE('/api/live', options)
  const notices = useSSE('/api/live', { ...options, channel: 'notices' })
  const here = useSSE('/api/live', { ...options, channel: 'here', initial: [], reduce: reduceSSEPresence<{ name: string }> })
  // Closed as long as the route has no such channel.
  const progress = useSSE('/api/live', { ...options, channel: 'job', initial: NEW_JOB, reduce: foldJob })

  /** Another set of channels needs another request. It continues each channel after its last message. */
  function reconnect(): void {
    for (const { stop } of [all, notices, here, progress]) stop()
    for (const { connect } of [all, notices, here, progress]) connect()
  }
  watch(job, reconnect)

  return { all, notices, people: here.data, job: progress.data, reconnect }
}
