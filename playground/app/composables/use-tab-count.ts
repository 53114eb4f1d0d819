import { useIntervalFn } from '@vueuse/core'

const LOCK = 'playground:feed'

/**
 * Number of this browser's tabs that share one connection. Each holds a shared Web Lock, which the browser releases with the tab. Stays 0
 * without a secure context (https or localhost).
 */
export function useTabCount(isSharing: () => boolean) {
  const tabs = ref(0)
  let release: (() => void) | undefined

  async function count(): Promise<void> {
    const { held = [] } = isSharing() && navigator.locks ? await navigator.locks.query() : {}
    tabs.value = held.filter(({ name }) => name === LOCK).length
  }

  watch(isSharing, (sharing) => {
    release?.()
    release = undefined
    if (sharing) void navigator.locks?.request(LOCK, { mode: 'shared' }, () => new Promise<void>(resolve => release = resolve))
  })
  useIntervalFn(count, 500)
  onScopeDispose(() => release?.())

  return tabs
}
