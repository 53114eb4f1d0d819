import { parseJson } from '../shared/json'
import type { SSEMessage } from '../shared/types'
import type { SSEClientOptions } from './types'

/** Characters of one message that are gathered before the stream is given up. */
const MAX_MESSAGE_LENGTH = 16_777_216

/** One block of an event stream. Without `data` it is no message: its `id` moves the position. */
export type Block = Pick<SSEMessage, 'id' | 'event'> & { data?: string }

/**
 * Parses an event stream (WHATWG HTML, 9.2.6) of decoded text, split anywhere. What it returns gives what each piece has completed, or
 * `undefined` when a message is too large.
 *
 * Our own, since `eventsource-parser` is a third of the bytes that the client may have; the tests compare the two.
 */
export function createParser(onRetry: (retryMs: number) => void): (text: string) => Block[] | undefined {
  let rest = ''
  let afterReturn = false
  let id: string | undefined
  let event: string | undefined
  let data: string | undefined

  return (text) => {
    const parsed: Block[] = []
    // The second half of a CRLF ends no second line.
    const lines = (afterReturn && text[0] === '\n' ? text.slice(1) : text).split(/\r\n?|\n/)
    if (text) afterReturn = text.endsWith('\r')
    lines[0] = rest + lines[0]
    rest = lines.pop()!
    for (const line of lines) {
      if (!line) {
        if (id !== undefined || data !== undefined) parsed.push({ id, event, data })
        id = event = data = undefined
        continue
      }
      const colon = line.indexOf(':')
      const name = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1))
      if (name === 'data') data = data === undefined ? value : `${data}\n${value}`
      else if (name === 'event') event = value || undefined
      else if (name === 'id' && !value.includes('\0')) id = value
      else if (name === 'retry' && /^\d+$/.test(value)) onRetry(Number(value))
    }
    return rest.length + (data ?? '').length > MAX_MESSAGE_LENGTH ? undefined : parsed
  }
}

/** Reads the text of a message as the option `parse` says. Text that a function cannot read stays text, which is said. */
export function readerOf(parse: NonNullable<SSEClientOptions['parse']>): (text: string) => unknown {
  if (parse === 'json') return parseJson
  if (parse === 'text') return text => text
  return (text) => {
    try {
      return parse(text)
    }
    catch (cause) {
      console.error('[nuxt-sse] `parse` threw', cause)
      return text
    }
  }
}
