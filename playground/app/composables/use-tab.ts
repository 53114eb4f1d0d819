import type { Network } from '#shared/utils/networks'

const KEY = 'sse-network'
const BROWSER_KEY = 'sse-browser'

/** ID of this browser tab, and the network that its visitor has chosen, so that the server can simulate it. */
export function useTab() {
  // Set in the browser only, and after hydration: the server renders the same page for all tabs.
  const id = useState('tab', () => '')
  /** ID that all tabs of this browser have, for a connection that they share. */
  const browser = useState('browser', () => '')
  /** Whether the page's connection is shared by all tabs. */
  const isShared = useState('shared', () => false)
  const network = useState<Network>('network', () => 'normal')
  onMounted(() => {
    if (id.value) return
    id.value = Math.random().toString(36).slice(2)
    browser.value = localStorage.getItem(BROWSER_KEY) ?? Math.random().toString(36).slice(2)
    localStorage.setItem(BROWSER_KEY, browser.value)
    // Kept for the session, as the page's connections keep their findings about the network.
    const kept = sessionStorage.getItem(KEY)
    if (isNetwork(kept)) network.value = kept
  })
  // Of tabs that were opened at once, each wrote an ID, and the last one holds. It is read before a connection asks for it.
  watch(isShared, (shared) => {
    if (shared) browser.value = localStorage.getItem(BROWSER_KEY) ?? browser.value
  }, { flush: 'sync' })

  /** Parameter that requests carry: another tab may have another network. */
  const tab = computed(() => isShared.value ? browser.value : network.value === 'normal' ? id.value : `${id.value}.${network.value}`)

  /** Resolves with whether the server accepted the request. */
  async function tell(path: 'cut' | 'network', body: object): Promise<boolean> {
    try {
      await $fetch(`/api/dev/${path}`, { method: 'POST', body: { tab: isShared.value ? browser.value : id.value, ...body } })
      return true
    }
    catch {
      return false
    }
  }

  async function setNetwork(next: Network): Promise<boolean> {
    network.value = next
    sessionStorage.setItem(KEY, next)
    const told = await tell('network', { network: next })
    // Simulates a browser's change of network: waits are cut short, and streams are retried.
    if (next !== 'stop') window.dispatchEvent(new Event('online'))
    return told
  }

  return { id, tab, network, isShared, setNetwork, cut: () => tell('cut', {}) }
}
