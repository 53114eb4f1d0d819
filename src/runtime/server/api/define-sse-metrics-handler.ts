import type { EventHandler, H3Event } from 'h3'
import { defineEventHandler, setHeaders } from '#sse/h3'
import { check, functionOf } from '../../shared/rules'
import { readStats } from '../context/stats'
import { useSSEContext } from '../entry/runtime-context'
import { toHttpError } from '../http/response'
import { renderMetrics } from '../insight/prometheus'

export interface SSEMetricsHandlerOptions {
  /**
   * Called before each request, with the event. Throw an error (h3's `createError` with 401) to refuse it. Without it, make sure that only your
   * monitoring can reach the route: the numbers say how much your application is used.
   */
  authorize?: (event: H3Event) => unknown
}

/**
 * Route with the numbers of `useSSEStats()` in the text format of Prometheus, version 0.0.4: counters and gauges named `sse_…`. They cover one process,
 * which is the unit that Prometheus scrapes. Each request visits each open connection once.
 *
 * @throws `INVALID_OPTION`
 */
export function defineSSEMetricsHandler({ authorize }: SSEMetricsHandlerOptions = {}): EventHandler {
  if (authorize !== undefined) check('authorize', authorize, functionOf('`(event)`'))
  return defineEventHandler(async (event: H3Event) => {
    try {
      await authorize?.(event)
      const text = renderMetrics(readStats(useSSEContext()))
      setHeaders(event, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' })
      return text
    }
    catch (error) {
      throw toHttpError(event, error)
    }
  }) as EventHandler
}
