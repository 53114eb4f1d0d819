import { isChannelSource } from '../channel/several'
import { Connection } from '../connection/connection'
import { sendHead } from '../http/response'
import type { ResponseSink } from '../http/sink'
import { isIterableSource } from '../lib/source'
import { afterTick } from '../lib/tick'
import type { Exchange } from './exchange'
import { disposeOf } from './exchange'
import { notPollable } from './poll'

/** Response to HEAD: the handler's own checks decide the status, and no source starts. */
export async function answerHead({ event, handler, options, context, request }: Exchange): Promise<unknown> {
  const result = await handler(event, new Connection(options, context, CLOSED_SINK))
  const canBePolled = isChannelSource(result) || (options.resumable && isIterableSource(result))
  disposeOf(result, context)
  if (!canBePolled && !request.mayStream) throw notPollable()
  return sendHead(event, canBePolled ? request.older ? 'poll' : request.transport : 'stream', options.headers)
}

/** Sink for a request without a stream: pushes are dropped, as after a disconnect. */
const CLOSED_SINK: ResponseSink = {
  watch: events => events.onClose(),
  open: () => false,
  write: () => true,
  end() {},
  destroy() {},
  afterTick,
  callable: task => task,
  bufferedBytes: 0,
}
