import { SSEError } from './errors'
import type { SchemaIssue, SchemaResult, SSEIssue, SSESchema } from './standard-schema'

/** Maximum number of issues in an error. Data with more is refused all the same. */
const MAX_ISSUES = 100
/** Maximum length of an issue's text, in characters. */
const MAX_TEXT = 500
/** Maximum number of values of the input that are searched for in a text. */
const MAX_SEARCHED = 1_000

/** Whether `value` implements Standard Schema. Schemas of arktype are functions. */
export function isSchema(value: unknown): value is SSESchema {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false
  return typeof (value as Partial<SSESchema>)['~standard']?.validate === 'function'
}

/**
 * Checks `data`, and returns the schema's output; a promise of it if the schema is asynchronous. Throws, or rejects with, `INVALID_MESSAGE`
 * if the data does not fit, and `SCHEMA_FAILED` if the schema throws or returns no result.
 */
export function checkSchema(schema: SSESchema, data: unknown): unknown {
  let result: unknown
  try {
    result = schema['~standard'].validate(data)
  }
  catch (cause) {
    throw schemaFailed('threw', cause)
  }
  if (typeof (result as Partial<PromiseLike<unknown>> | undefined)?.then !== 'function') return outputOf(result, data)
  return Promise.resolve(result).then(settled => outputOf(settled, data), (cause: unknown) => {
    throw schemaFailed('threw', cause)
  })
}

export function schemaFailed(what: string, cause?: unknown): SSEError {
  return new SSEError('SCHEMA_FAILED', `The schema of a message ${what}.`, { retry: false, cause })
}

/** Error for data that a schema refuses. Its text has the first issue. */
function invalidMessage(issues: SSEIssue[]): SSEError {
  const [{ path, message } = { path: [], message: 'it does not fit its schema.' }] = issues
  return new SSEError('INVALID_MESSAGE', `Invalid message${path.length ? ` at \`${path.join('.')}\`` : ''}: ${message}`, { statusCode: 400, details: { issues } })
}

function outputOf(result: unknown, data: unknown): unknown {
  if (typeof result !== 'object' || result === null) throw schemaFailed('returned no result')
  const { issues } = result as SchemaResult
  if (issues === undefined) return (result as { value?: unknown }).value
  if (!Array.isArray(issues)) throw schemaFailed('returned no result')
  let read: SSEIssue[]
  try {
    // Copied into plain arrays: arktype's have classes of their own, which `map` would keep.
    read = Array.from<SchemaIssue>(issues).slice(0, MAX_ISSUES).map(issue => readIssue(issue, data))
  }
  catch (cause) {
    throw schemaFailed('returned no result', cause)
  }
  throw invalidMessage(read)
}

function readIssue({ path = [], message }: SchemaIssue, data: unknown): SSEIssue {
  const keys = Array.from(path, segment => typeof segment === 'object' ? segment.key : segment)
  let value = data
  for (const key of keys) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[key]
  return { path: keys.map(key => typeof key === 'symbol' ? String(key) : key), message: withoutInput(String(message), value) }
}

/**
 * Removes values of the input from a text. Libraries quote them ("received 'secret'"), and the text may reach logs and clients that must
 * not see them.
 */
function withoutInput(message: string, value: unknown): string {
  const texts = new Set<string>()
  const left = [value]
  for (let searched = 0; left.length && searched < MAX_SEARCHED; searched++) {
    const next = left.pop()
    if (typeof next === 'string' && next) texts.add(next)
    else if (typeof next === 'number' || typeof next === 'bigint') texts.add(String(next))
    else if (typeof next === 'object' && next !== null) left.push(...Object.values(next))
  }
  // The longest first: one value may be a part of another.
  for (const text of [...texts].sort((a, b) => b.length - a.length)) {
    if (message.includes(JSON.stringify(text))) message = message.replaceAll(JSON.stringify(text), '…')
    else if (text.length > 1 || /\d/.test(text)) message = message.replaceAll(wordOf(text), '…')
  }
  return message.length > MAX_TEXT ? `${message.slice(0, MAX_TEXT)}…` : message
}

/** Matches `text` where it is not a part of a longer word. */
function wordOf(text: string): RegExp {
  return new RegExp(`(?<![\\p{L}\\p{N}_])${text.replaceAll(/[$()*+./?[\\\]^{|}-]/g, String.raw`\$&`)}(?![\\p{L}\\p{N}_])`, 'gu')
}
