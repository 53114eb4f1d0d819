import type { ConnectionView } from './use-timeline'

/** Counters of one channel of a connection. */
export interface ChannelTally {
  messages: number
  /** Name of the last message, if it has one. */
  event?: string
  epoch: string
  offset: number
}

/**
 * Counts messages, and checks the module's guarantee: the offsets of a channel have no holes. So each message must be one further than the
 * previous one, also over another transport, and over another connection of the same page.
 */
export function useTally(connection: () => ConnectionView) {
  const received = ref(0)
  const missing = ref(0)
  const doubled = ref(0)
  /** By the key of the channel; empty for a connection to a single one. */
  const channels = ref<Record<string, ChannelTally>>({})

  function take({ id, event, channel = '' }: { id?: string, event?: string, channel?: string }): void {
    received.value++
    const tally = channels.value[channel] ??= { messages: 0, epoch: '', offset: 0 }
    tally.messages++
    tally.event = event
    const dot = id?.lastIndexOf('.') ?? -1
    if (dot < 0) return
    const epoch = id!.slice(0, dot)
    const offset = Number(id!.slice(dot + 1))
    if (epoch === tally.epoch) {
      if (offset > tally.offset) missing.value += offset - tally.offset - 1
      else doubled.value++
    }
    Object.assign(tally, { epoch, offset })
  }

  watch(connection, (now, _, onCleanup) => onCleanup(now.on('*', take)), { immediate: true })

  return { received, missing, doubled, channels }
}
