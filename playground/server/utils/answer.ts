import process from 'node:process'
import type { AnswerNews, Turn } from '#shared/types/chat'

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/
/** Channel of one answer: a run, which needs no viewer, and which any instance may stop. */
export const answerChannel = (id: string) => useSSEChannel<AnswerNews>(`answer:${id}`)

/** Channel of the questions in one chat, with the answer of each. */
export const chatChannel = (id: string) => useSSEChannel<Pick<Turn, 'id' | 'question'>>(`chat:${id}`)

/** Validates an ID from an untrusted request. */
export function readId(text: unknown): string {
  if (typeof text === 'string' && UUID.test(text)) return text
  throw createError({ statusCode: 404, message: 'There is no such chat here. The server that kept it may have stopped.' })
}

/** Asks the OpenAI-compatible API that the environment names (`OPENAI_BASE_URL`, `OPENAI_API_KEY`, `OPENAI_MODEL`), or else the playground's stand-in. */
export function askModel(prompt: string, signal: AbortSignal) {
  const { OPENAI_BASE_URL: api, OPENAI_API_KEY: key = '', OPENAI_MODEL: model = 'gpt-5' } = process.env
  if (!api) return writeAnswer(prompt, signal)
  return fetch(`${api}/chat/completions`, {
    method: 'POST',
    headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: prompt }] }),
    signal,
  })
}

async function* writeAnswer(prompt: string, signal: AbortSignal) {
  const startedAt = Date.now()
  let tokens = 0
  const all = generateTokens(prompt)
  // Uneven, as from a real model.
  const waits = all.map(() => 0.4 + Math.random() * 1.2)
  const unitMs = useRuntimeConfig().answerMs / waits.reduce((sum, wait) => sum + wait, 0)
  let due = startedAt
  for (const [index, text] of all.entries()) {
    due += waits[index]! * unitMs
    await pause(Math.max(0, due - Date.now()))
    if (signal.aborted) return
    tokens++
    yield { text }
  }
  yield sseMessage({ tokens, ms: Date.now() - startedAt }, { event: 'usage' })
}
