import type { AnswerNews } from '#shared/types/chat'

/** Words that a message adds to an answer. */
export function textOf(news: AnswerNews): string {
  if ('text' in news) return news.text
  return 'choices' in news ? news.choices[0]?.delta.content ?? '' : ''
}
