/** Saves an item, and creates it if it has no ID. */
export default defineEventHandler(async (event) => {
  const { id, text, done } = await readBody<{ id?: unknown, text?: unknown, done?: unknown }>(event) ?? {}
  if (typeof text !== 'string' || !text.trim() || text.length > LIST_TEXT_LIMIT) throw createError({ statusCode: 422, message: `Enter a text of at most ${LIST_TEXT_LIMIT} characters.` })
  await saveItem({ id: typeof id === 'number' ? id : undefined, text: text.trim(), done: done === true })
  return null
})
