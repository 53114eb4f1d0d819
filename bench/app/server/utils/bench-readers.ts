import { useSSEChannel } from '#sse/server'
import { message } from './bench-messages'

const AT_ONCE = 200
const received: number[] = []
const channel = (index: number) => useSSEChannel(`many:${index}`)

async function inParts(count: number, task: (index: number) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < count; from += AT_ONCE) await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, index) => task(from + index)))
}

export async function publishToEach(count: number): Promise<void> {
  await inParts(count, index => channel(index).publish(message(index)))
}

/** Resolves when each channel has its reader, and each reader has received the message that the channel already holds. */
export async function openReaders(count: number): Promise<void> {
  await inParts(count, index => new Promise<void>((resolve, reject) => {
    received[index] = 0
    const read = async () => {
      for await (const _ of channel(index).subscribe({ after: 'start', onGap: () => {} })) {
        received[index]!++
        resolve()
      }
    }
    read().catch(reject)
  }))
}

export function readersWith(messages: number): number {
  return received.filter(count => count >= messages).length
}
