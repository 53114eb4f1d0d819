import type { SSEBatch } from '../../shared/protocol'
import type { SSEMessage } from '../../shared/types'
import { clientError } from '../response'

/** Maximum length of a response, in characters. A server's batch reaches a sixteenth of it, unless its last message is larger. */
const MAX_ANSWER_LENGTH = 67_108_864

/** Body as JSON. Calls `touch` for each piece that arrives. Throws `MESSAGE_TOO_LARGE`. */
export async function readJson(response: Response, touch = () => {}): Promise<unknown> {
  const decoder = new TextDecoder()
  const reader = response.body!.getReader()
  let text = ''
  while (true) {
    const { done, value } = await reader.read()
    if (done) return JSON.parse(text)
    touch()
    text += decoder.decode(value, { stream: true })
    if (text.length > MAX_ANSWER_LENGTH) throw clientError('MESSAGE_TOO_LARGE', 'A response is too large')
  }
}

const MESSAGE_FIELDS = ['id', 'event', 'data', 'channel']
const GAP_FIELDS = ['reason', 'missed', 'position']

/** Removes the fields that only a later build knows, so that messages and gaps are those of a stream. The batch must be valid. */
export function dropUnknown(batch: { messages: SSEMessage[], channels?: SSEBatch['channels'] } & Partial<Pick<SSEBatch, 'gap'>>): void {
  for (const message of batch.messages) keep(message, MESSAGE_FIELDS)
  for (const { gap } of [batch, ...Object.values(batch.channels ?? {})]) if (gap) keep(gap, GAP_FIELDS)
}

function keep(object: object, fields: string[]): void {
  for (const field of Object.keys(object)) if (!fields.includes(field)) Reflect.deleteProperty(object, field)
}
