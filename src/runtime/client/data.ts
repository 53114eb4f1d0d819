import { parseJson } from '../shared/json'
import type { SSEClientOptions } from './types'

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
