const MAX_TEXT_LENGTH = 280
const MAX_AUTHOR_LENGTH = 40

export default defineEventHandler(async (event) => {
  const { author, text } = await readBody<{ author?: unknown, text?: unknown }>(event) ?? {}
  if (typeof text !== 'string' || !text.trim() || text.length > MAX_TEXT_LENGTH) throw createError({ statusCode: 422, message: `Please write 1 to ${MAX_TEXT_LENGTH} characters.` })
  if (typeof author !== 'string' || author.length > MAX_AUTHOR_LENGTH) throw createError({ statusCode: 422, message: `Please use a name of at most ${MAX_AUTHOR_LENGTH} characters.` })
  const id = await feedChannel().publish({ author: author.trim() || 'Somebody', text: text.trim(), at: new Date().toISOString() })
  return { id }
})
