import { randomUUID } from 'node:crypto'

const MAX_PROMPT_LENGTH = 500

/** Asks something, in a chat or in a new one. The answer goes on by itself. */
export default defineEventHandler(async (event) => {
  const { prompt, chat } = await readBody<{ prompt?: unknown, chat?: unknown }>(event) ?? {}
  if (typeof prompt !== 'string' || !prompt.trim()) throw createError({ statusCode: 422, message: 'Please ask something.' })
  if (prompt.length > MAX_PROMPT_LENGTH) throw createError({ statusCode: 422, message: `Please ask in at most ${MAX_PROMPT_LENGTH} characters.` })
  const chatId = chat === undefined ? randomUUID() : readId(chat)
  const id = randomUUID()
  await answerChannel(id).run(({ signal }) => writeAnswer(prompt, signal), { event })
  await chatChannel(chatId).publish({ id, question: prompt })
  return { chat: chatId, id }
})
