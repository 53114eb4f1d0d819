import { checkSchema, schemaFailed } from '../../shared/check-schema'
import type { SSEError } from '../../shared/errors'
import type { SSEMessage } from '../../shared/types'
import { delay } from '../delay'
import { clientError, revised } from '../response'
import type { CheckedMessage } from '../host'
import type { SSEClientOptions } from '../types'

/** Checks a message against the options `schema` and `events`. An asynchronous schema is given up after `timeoutMs`. Never rejects. */
export async function checkMessage(message: SSEMessage, { schema, events }: Pick<SSEClientOptions, 'schema' | 'events'>, timeoutMs: number): Promise<CheckedMessage> {
  const { event, data } = message
  const over = new AbortController()
  try {
    const own = event === undefined || !events ? schema : Object.hasOwn(events, event) ? events[event] : undefined
    if (!own) throw clientError('INVALID_EVENT', 'A message has an event name that is not among `events`')
    const late = async () => {
      await delay(timeoutMs, over.signal)
      throw schemaFailed('did not answer in time')
    }
    const output = checkSchema(own, data)
    return [{ ...message, data: output instanceof Promise ? await Promise.race([output, late()]) : output }]
  }
  catch (error) {
    if ((error as SSEError).code === 'SCHEMA_FAILED') console.error('[nuxt-sse]', error)
    // Reading continues.
    return [message, revised(error as SSEError, true)]
  }
  finally {
    over.abort()
  }
}
