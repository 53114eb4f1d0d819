/** Metrics of one process for Prometheus. */
export default defineSSEMetricsHandler()
