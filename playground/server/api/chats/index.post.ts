import { randomUUID } from 'node:crypto'

const MAX_PROMPT_LENGTH = 500

/** Adds a question to a chat, or to a new one. The answer is produced independently of this request. */
export default defineEventHandler(async (event) => {
  const { prompt, chat } = await readBody<{ prompt?: unknown, chat?: unknown }>(event) ?? {}
  if (typeof prompt !== 'string' || !prompt.trim()) throw createError({ statusCode: 422, message: 'Enter a question.' })
  if (prompt.length > MAX_PROMPT_LENGTH) throw createError({ statusCode: 422, message: `Please ask in at most ${MAX_PROMPT_LENGTH} characters.` })
  const chatId = chat === undefined ? randomUUID() : readId(chat)
  const id = randomUUID()
  await answerChannel(id).run(({ signal }) => askModel(prompt, signal), { event })
  await chatChannel(chatId).publish({ id, question: prompt })
  return { chat: chatId, id }
})
