import type { Turn } from '#shared/types/chat'

/** Current turns of a chat: a reloaded page begins with them. */
export default defineEventHandler(async (event): Promise<Turn[]> => {
  const { messages } = await chatChannel(readId(getRouterParam(event, 'id'))).read()
  return Promise.all(messages.map(async ({ data: { id, question } }) => {
    const { messages: news, ended, error } = await answerChannel(id).read()
    const turn: Turn = { id, question, answer: news.map(({ data }) => textOf(data)).join(''), running: !ended }
    const last = news.at(-1)?.data
    if (last && 'tokens' in last) return { ...turn, outcome: describeUsage(last) }
    return error ? { ...turn, cutShort: true, outcome: describeEnd(error.code) } : turn
  }))
})
