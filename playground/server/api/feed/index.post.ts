export default defineEventHandler(async (event) => {
  const body = await readBody<Record<string, unknown> | undefined>(event)
  const text = read(body, 'text')
  if (!text) throw refuse('Enter a text.')
  const title = read(body, 'title')
  const id = await feedChannel().publish({ ...(title && { title }), author: read(body, 'author') || 'Somebody', text, at: new Date().toISOString() }, { key: idempotencyKey(event) })
  return { id }
})

/** Field without surrounding whitespace, or an empty string if it was left out. */
function read(body: Record<string, unknown> | undefined, field: Exclude<keyof typeof FEED_LIMITS, 'posts'>): string {
  const value = body?.[field] ?? ''
  if (typeof value !== 'string') throw refuse(`Expected \`${field}\` to be a text.`)
  if (value.length > FEED_LIMITS[field]) throw refuse(`Expected \`${field}\` to have at most ${FEED_LIMITS[field]} characters, got ${value.length}.`)
  return value.trim()
}

function refuse(message: string) {
  return createError({ statusCode: 422, message })
}
