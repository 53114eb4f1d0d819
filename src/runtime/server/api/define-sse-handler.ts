import type { EventHandler, EventHandlerRequest, H3Event } from 'h3'
import { defineEventHandler, routeOf } from '#sse/h3'
import { isCachedByRule } from '#sse/nitro'
import { SSEError } from '../../shared/errors'
import { check, functionOf } from '../../shared/rules'
import type { SSEMessage, SSEStream } from '../../shared/types'
import type { SSEConnection } from '../connection/types'
import type { TaggedMessage } from '../wire/message'
import { withinLimits } from '../context/platform-limits'
import type { ResolvedHandlerOptions, SSEOwnHandlerOptions } from '../options'
import { resolveHandlerOptions } from '../resolve-options'
import { useSSEContext } from '../entry/runtime-context'
import { toHttpError } from '../http/response'
import { countHandler } from '../serve/route-checks'
import { serve } from '../serve/serve'

/** Message that a reader receives for one item of a source. */
type MessageOfItem<Item> = Item extends TaggedMessage<infer T, infer E> ? Named<T, E> : SSEMessage<Item, undefined>

/** Message whose `event` is required where the source always sets it: readers discriminate messages by it. */
type Named<T, E extends string | undefined> = undefined extends E ? SSEMessage<T, E> : { id?: string, event: E, data: T }

/** Messages that a handler's result sends; `Pushed` where it returns a clean-up function or nothing. */
type MessageOfResult<Result, Pushed>
  = Result extends SSEStream<infer M> ? M
    : Result extends AsyncIterable<infer Item> ? MessageOfItem<Item>
      : Result extends Iterable<infer Item> ? MessageOfItem<Item>
        : Result extends ReadableStream<infer Item> ? MessageOfItem<Item>
          : SSEMessage<Pushed>

export type SSEEventHandler<M extends SSEMessage> = EventHandler<EventHandlerRequest, Promise<SSEStream<M>>>

/**
 * Route that responds with an event stream (WHATWG HTML, section 9.2). If its source is a channel and the client requests JSON, it responds
 * with a batch of messages. Supports GET and POST.
 *
 * The handler receives `(event, connection)` and returns, or resolves to,
 * - an `AsyncIterable` or a `ReadableStream`: each item is one message; it is pulled only as fast as the client reads, and released
 * (`finally`, `cancel`) when the client leaves;
 * - a channel, or several (`useSSEChannels`): resumable and pollable;
 * - a function: the clean-up, run exactly once when the connection is over; messages come through `connection.push` (annotate it as
 * `SSEConnection<T>` to type the route);
 * - nothing: push API without a clean-up.
 *
 * An error thrown before the source starts is an ordinary HTTP error. A source that throws later ends the stream with an `error` control
 * message. The error's text reaches the client only if it is an `SSEError` or made by h3's `createError`.
 *
 * Invalid options are logged at once, and every request receives 500 `INVALID_OPTION`. They are not thrown: in development all routes share
 * one file, and a throw would remove every route.
 */
export function defineSSEHandler<Result, Pushed = unknown>(
  handler: (event: H3Event, connection: SSEConnection<Pushed>) => Result,
  options: SSEOwnHandlerOptions = {},
): SSEEventHandler<MessageOfResult<Awaited<Result>, Pushed>> {
  const mistake = mistakeIn(handler, options)
  if (mistake) console.error('[nuxt-sse]', mistake)
  if (import.meta.dev && !mistake) countHandler(options)
  let resolved: ResolvedHandlerOptions | undefined
  let checkedRoute: string | undefined
  return defineEventHandler((event) => {
    const context = useSSEContext()
    const route = routeOf(event)
    const refusal = mistake ?? (route === checkedRoute ? undefined : mistakeInRules(route!))
    if (refusal) {
      context.insight.onRefuse(event, refusal)
      throw toHttpError(event, refusal)
    }
    checkedRoute = route
    resolved ??= withinLimits(resolveHandlerOptions(options, context.options), context.limits)
    return serve(event, handler as (event: H3Event, connection: SSEConnection) => unknown, resolved, context)
  }) as SSEEventHandler<MessageOfResult<Awaited<Result>, Pushed>>
}

/** Checked before the first request, so that the error is visible when the server starts. */
function mistakeIn(handler: unknown, options: SSEOwnHandlerOptions): unknown {
  try {
    check('handler', handler, functionOf('`(event, connection)` that returns a source'))
    resolveHandlerOptions(options)
  }
  catch (error) {
    return error
  }
}

/**
 * A response cache waits for the end of a response, so a stream would never reach its reader. It would also serve one client's poll to
 * every client.
 */
function mistakeInRules(route: string): SSEError | undefined {
  if (!isCachedByRule(route)) return
  return new SSEError('INVALID_ROUTE_RULE', `Expected ${route} not to be cached, got a \`cache\` or \`swr\` rule, which holds a stream back until it ends. Add \`'${route.replaceAll(/:\w+/g, '*')}': { cache: false }\` to \`routeRules\`.`)
}
