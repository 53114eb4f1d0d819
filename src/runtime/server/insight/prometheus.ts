/** Numbers of a process for {@link renderMetrics}: `SSEStats`, of which this room knows no more. */
type Stats = Record<string, string | number | Record<string, number>>

interface Metric {
  name: string
  type: 'counter' | 'gauge'
  help: string
  /** Field of the statistics. */
  field: string
  /** Name of the label, for a number per value of it. */
  label?: string
}

const METRICS: Metric[] = [
  { name: 'sse_connections', type: 'gauge', help: 'Open streams.', field: 'connections' },
  { name: 'sse_connections_total', type: 'counter', help: 'Streams ever opened.', field: 'connectionsTotal' },
  { name: 'sse_closed_total', type: 'counter', help: 'Streams that are over.', field: 'closed', label: 'reason' },
  { name: 'sse_polls', type: 'gauge', help: 'Polls in flight.', field: 'polls' },
  { name: 'sse_polls_total', type: 'counter', help: 'Polls.', field: 'pollsTotal' },
  { name: 'sse_refused_total', type: 'counter', help: 'Requests that received an error.', field: 'refused', label: 'code' },
  { name: 'sse_parked_readers', type: 'gauge', help: 'Streams whose socket is full.', field: 'parkedReaders' },
  { name: 'sse_channels', type: 'gauge', help: 'Channels with a reader.', field: 'channels' },
  { name: 'sse_producers', type: 'gauge', help: 'Running producers.', field: 'producers' },
  { name: 'sse_messages_sent_total', type: 'counter', help: 'Messages accepted for streams.', field: 'messagesSent' },
  { name: 'sse_sent_bytes_total', type: 'counter', help: 'Bytes accepted for streams.', field: 'bytesSent' },
  { name: 'sse_published_total', type: 'counter', help: 'Messages that the driver has acknowledged.', field: 'published' },
  { name: 'sse_publish_errors_total', type: 'counter', help: 'Messages that could not be published.', field: 'publishErrors', label: 'code' },
  { name: 'sse_gaps_total', type: 'counter', help: 'Gaps sent to clients.', field: 'gaps', label: 'reason' },
]

/** Statistics in the text format of Prometheus, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats). */
export function renderMetrics(stats: object): string {
  const { driver, ...numbers } = stats as Stats
  const info = render({ name: 'sse_info', type: 'gauge', help: 'Always 1. The label is the driver.', field: 'driver', label: 'driver' }, { [String(driver)]: 1 })
  return info + METRICS.map(metric => render(metric, numbers[metric.field] as number | Record<string, number>)).join('')
}

function render({ name, type, help, label }: Metric, value: number | Record<string, number>): string {
  const samples = typeof value === 'number'
    ? [`${name} ${value}`]
    : Object.entries(value).map(([key, number]) => `${name}{${label}="${escapeLabel(key)}"} ${number}`)
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.map(sample => `${sample}\n`).join('')}`
}

/** A code may come from the application, and so be any text. */
function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
