import { subscribe } from 'node:diagnostics_channel'
import process from 'node:process'
import { SpanKind } from '@opentelemetry/api'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import type { SSETraces } from '#sse/server'

/** With `BENCH_TRACING`, spans as in docs/operate/tracing.md, which an exporter drops. */
export default defineNitroPlugin(() => {
  if (!process.env.BENCH_TRACING) return
  const exporter = { export: (_: unknown, done: (result: { code: 0 }) => void) => done({ code: 0 }), shutdown: async () => {} }
  const tracer = new TracerProvider({ spanProcessors: [new BatchSpanProcessor({ exporter })] }).getTracer('bench')
  const record = (name: string, kind: SpanKind) => subscribe(name, (message) => {
    const { durationMs, ...trace } = message as SSETraces['nuxt-sse:publish' | 'nuxt-sse:deliver']
    const now = Date.now()
    tracer.startSpan(name, { kind, startTime: now - durationMs, attributes: { 'sse.channel': trace.channel, 'sse.ids': 'ids' in trace ? trace.ids : [trace.id!] } }).end(now)
  })
  record('nuxt-sse:open', SpanKind.INTERNAL)
  record('nuxt-sse:publish', SpanKind.PRODUCER)
  record('nuxt-sse:deliver', SpanKind.CONSUMER)
})
