import type { ConnectionView } from './use-timeline'

/**
 * Counts what arrives, and holds the module to its word: offsets have no holes, so each position must be one further than
 * the one before it.
 */
export function useTally({ position, on }: ConnectionView) {
  const received = ref(0)
  const missing = ref(0)

  onScopeDispose(on('*', () => received.value++))
  // In step with the messages: the refs that a template sees only show the last one of a tick.
  watch(position, (now, before) => {
    const [epoch, offset] = parse(now)
    const [epochBefore, offsetBefore] = parse(before)
    if (epoch === epochBefore && offset > offsetBefore) missing.value += offset - offsetBefore - 1
  }, { flush: 'sync' })

  return { received, missing }
}

function parse(position = ''): [epoch: string, offset: number] {
  const [epoch = '', offset] = position.split('.')
  return [epoch, Number(offset)]
}
