const MAX_PROMPT_LENGTH = 500
/** About 40 tokens a second, unevenly, as people know it from a model. */
const TOKEN_MS = 25

/** One answer, token by token. The checks come first, and answer with a status; then the generator is streamed. */
export default defineSSEHandler(async (event) => {
  const { prompt } = await readBody<{ prompt?: unknown }>(event) ?? {}
  if (typeof prompt !== 'string' || !prompt.trim()) throw createError({ statusCode: 422, message: 'Please ask something.' })
  if (prompt.length > MAX_PROMPT_LENGTH) throw createError({ statusCode: 422, message: `Please ask in at most ${MAX_PROMPT_LENGTH} characters.` })
  return answer(prompt)
})

async function* answer(prompt: string) {
  const startedAt = Date.now()
  let tokens = 0
  for (const text of generateTokens(prompt)) {
    await pause(TOKEN_MS * (0.4 + Math.random() * 1.2))
    tokens++
    yield { text }
  }
  yield sseMessage({ tokens, ms: Date.now() - startedAt }, { event: 'usage' })
}
