import type { ConnectionView } from './use-timeline'

/**
 * Counts messages, and checks the module's guarantee: offsets have no holes. So each message must be one further than the previous one,
 * also over another transport, and over another connection of the same page.
 */
export function useTally(connection: () => ConnectionView) {
  const received = ref(0)
  const missing = ref(0)
  const doubled = ref(0)
  let epoch = ''
  let offset = 0

  function take({ id }: { id?: string }): void {
    received.value++
    const dot = id?.lastIndexOf('.') ?? -1
    if (dot < 0) return
    const epochNow = id!.slice(0, dot)
    const offsetNow = Number(id!.slice(dot + 1))
    if (epochNow === epoch) {
      if (offsetNow > offset) missing.value += offsetNow - offset - 1
      else doubled.value++
    }
    epoch = epochNow
    offset = offsetNow
  }

  watch(connection, (now, _, onCleanup) => onCleanup(now.on('*', take)), { immediate: true })

  return { received, missing, doubled }
}
