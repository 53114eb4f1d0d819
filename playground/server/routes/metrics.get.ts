/** Metrics in the text format of Prometheus, which scrapes them every few seconds. They cover one process, which is the unit that it scrapes. */
export default defineEventHandler((event) => {
  const stats = useSSEStats()
  setResponseHeader(event, 'content-type', 'text/plain; version=0.0.4; charset=utf-8')
  return [
    metric('sse_info', 'gauge', 'Always 1: which driver keeps the channels.', { [stats.driver]: 1 }, 'driver'),
    metric('sse_connections', 'gauge', 'Streams open now.', stats.connections),
    metric('sse_connections_total', 'counter', 'Streams ever opened.', stats.connectionsTotal),
    metric('sse_closed_total', 'counter', 'Streams that are over.', stats.closed, 'reason'),
    metric('sse_polls', 'gauge', 'Polls being answered now.', stats.polls),
    metric('sse_polls_total', 'counter', 'Polls.', stats.pollsTotal),
    metric('sse_refused_total', 'counter', 'Requests answered with an error.', stats.refused, 'code'),
    metric('sse_parked_readers', 'gauge', 'Streams whose socket is full.', stats.parkedReaders),
    metric('sse_channels', 'gauge', 'Channels that somebody reads.', stats.channels),
    metric('sse_producers', 'gauge', 'Sources on their way into channels.', stats.producers),
    metric('sse_messages_sent_total', 'counter', 'Messages accepted for streams.', stats.messagesSent),
    metric('sse_sent_bytes_total', 'counter', 'Bytes accepted for streams.', stats.bytesSent),
    metric('sse_published_total', 'counter', 'Messages that the driver has acknowledged.', stats.published),
    metric('sse_publish_errors_total', 'counter', 'Messages that were refused.', stats.publishErrors, 'code'),
    metric('sse_gaps_total', 'counter', 'Gaps that clients were told of.', stats.gaps, 'reason'),
  ].join('')
})

/** Lines of one metric: a single number, or one for each value of a label. */
function metric(name: string, type: 'counter' | 'gauge', help: string, value: number | Record<string, number>, label = ''): string {
  const samples = typeof value === 'number'
    ? [`${name} ${value}`]
    : Object.entries(value).map(([of, number]) => `${name}{${label}="${escapeLabel(of)}"} ${number}`)
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.map(sample => `${sample}\n`).join('')}`
}

/** A code may be an application's own, and so contain any text. */
function escapeLabel(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
}
