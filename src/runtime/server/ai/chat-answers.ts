import type { UIMessageChunk } from 'ai'
import { SSEError } from '../../shared/errors'
import { useSSEChannel } from '../api/use-sse-channel'
import type { SSEChannel } from '../channel/types'
import { aborted } from '../lib/abort'
import type { KeptRequest } from '../lib/platform/contract'
import type { SSERetention } from '../options'
import type { SSEPipeSource } from '../producers/pump'

/** Longest answers of today's models have some 30,000 chunks. */
const MAX_CHUNKS = 50_000
/** Questions of a chat whose answers may still be in progress. All but the newest are being stopped. */
const MAX_QUESTIONS = 16
/** Codes of an answer whose instance is gone. Its reader may not know yet. */
const LOST = ['PRODUCER_LOST', 'SHUTTING_DOWN']

interface AnswerOptions {
  /** ID of the chat. */
  id: string
  /** ID of the answer, which the client sends with its question: a repeated question attaches. */
  answerId: string
  retention?: Partial<SSERetention>
}

/** Chunks of one answer. The answer's ID has no `/`, so that two chats cannot have one name. */
export function channelOfAnswer({ id, answerId, retention }: AnswerOptions): SSEChannel<UIMessageChunk> {
  return useSSEChannel<UIMessageChunk>(`sse-chat-answer/${answerId}/${id}`, { retention: { maxMessages: MAX_CHUNKS, ...retention } })
}

/** Answers of a chat, in the order of their questions. */
function questionsIn(id: string): SSEChannel<{ answer: string }> {
  return useSSEChannel(`sse-chat/${id}`, { retention: { maxMessages: MAX_QUESTIONS } })
}

async function answersIn(id: string): Promise<string[]> {
  const { messages } = await questionsIn(id).read()
  return messages.map(({ data }) => data.answer)
}

/**
 * Starts an answer, and stops earlier ones. Idempotent by its ID. The question is noted first: of two concurrent questions, each stops every
 * answer but the newest after its own has started, so that exactly one remains.
 */
export async function startAnswer(answer: AnswerOptions, event: KeptRequest, produce: (signal: AbortSignal) => Promise<SSEPipeSource<UIMessageChunk>>): Promise<void> {
  await questionsIn(answer.id).publish({ answer: answer.answerId }, { key: answer.answerId })
  await channelOfAnswer(answer).run(({ signal }) => produce(signal), { event })
  await stopAnswers(answer.id, 1)
}

/** Stops the answers of a chat, but the newest `keep`. */
export async function stopAnswers(id: string, keep = 0): Promise<void> {
  const answers = await answersIn(id)
  await Promise.all(answers.slice(0, answers.length - keep).map(answerId => channelOfAnswer({ id, answerId }).stop()))
}

/** Stops one answer. Its question may still be on its way, on another connection: it starts nothing then. */
export async function stopAnswer(answer: AnswerOptions): Promise<void> {
  const channel = channelOfAnswer(answer)
  await channel.stop()
  const { ended } = await channel.info()
  if (ended) return
  await channel.fail(aborted()).catch((error: unknown) => {
    if (!(error instanceof SSEError && error.code === 'CHANNEL_ENDED')) throw error
  })
}

/** ID of the answer that is being written now, or was lost with its instance, if any. */
export async function unfinishedAnswerIn(id: string): Promise<string | undefined> {
  const newest = (await answersIn(id)).at(-1)
  if (newest === undefined) return
  const { running, error } = await channelOfAnswer({ id, answerId: newest }).info()
  return running || LOST.includes(error?.code ?? '') ? newest : undefined
}

/** Whether an answer was never requested, or is no longer kept. */
export async function isUnknown(channel: SSEChannel<UIMessageChunk>): Promise<boolean> {
  const { lastOffset, running, ended } = await channel.info()
  return lastOffset === 0 && !running && !ended
}
