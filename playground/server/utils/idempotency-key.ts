import type { H3Event } from 'h3'

const MAX_LENGTH = 64

/** Client's key for this request, for `publish(data, { key })`: a repeated request then publishes nothing. */
export function idempotencyKey(event: H3Event): string | undefined {
  const key = getHeader(event, 'idempotency-key')
  if (key && key.length > MAX_LENGTH) throw createError({ statusCode: 422, message: `Expected \`Idempotency-Key\` to have at most ${MAX_LENGTH} characters, got ${key.length}.` })
  return key || undefined
}
