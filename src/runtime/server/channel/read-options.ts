import { parsePosition } from '../../shared/position'
import { SSEError, printValue } from '../../shared/errors'
import { check, whole } from '../../shared/rules'
import type { LogDriver } from '../drivers/types'
import { DEFAULT_OLDER_MESSAGES, readOlder } from './older'
import { parseAfter, readChannel, toMessage } from './read'
import type { SSEReadOlderOptions, SSEReadOlderResult, SSEReadOptions, SSEReadResult } from './types'

const AT_LEAST_ONE = whole({ from: 1 })

/** Implementation of `read()`: reads the messages after a position, the last ones, or those before an ID. */
export async function readAsAsked<T>(driver: LogDriver, name: string, options: SSEReadOptions | SSEReadOlderOptions): Promise<SSEReadResult<T> | SSEReadOlderResult<T>> {
  const { after, last, before, limit } = options as SSEReadOptions & Partial<SSEReadOlderOptions>
  const named = Object.entries({ after, last, before }).filter(([, value]) => value !== undefined).map(([option]) => `\`${option}\``)
  if (named.length > 1) throw new SSEError('INVALID_OPTION', `Expected one of \`after\`, \`last\` and \`before\`, got ${named.join(' and ')}.`, { statusCode: 400 })
  if (limit !== undefined) check('limit', limit, AT_LEAST_ONE, 400)
  if (before !== undefined) return readBefore<T>(driver, name, before, limit)
  if (last === undefined) return readChannel<T>(driver, name, parseAfter(after ?? 'start'), 'start', limit)
  check('last', last, AT_LEAST_ONE, 400)
  return readChannel<T>(driver, name, { kind: 'last', messages: last }, 'start', limit ?? last)
}

async function readBefore<T>(driver: LogDriver, name: string, before: string, limit = DEFAULT_OLDER_MESSAGES): Promise<SSEReadOlderResult<T>> {
  const position = typeof before === 'string' ? parsePosition(before) : undefined
  if (!position) throw new SSEError('INVALID_POSITION', `Expected \`before\` to be the id of a message (\`<epoch>.<offset>\`), got ${printValue(before)}.`, { statusCode: 400 })
  const { epoch, entries, hasOlder, gap } = await readOlder(driver, name, position, limit)
  return { messages: entries.map(entry => toMessage<T>(epoch, entry)), hasOlder, gap }
}
