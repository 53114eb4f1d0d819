import type { Network } from '#shared/utils/networks'

const KEY = 'sse-network'

/** Names this browser tab, and the network that its visitor has put in front of it, so that the server can play it. */
export function useTab() {
  // Made in the browser only, and after hydration: the server renders for all tabs alike.
  const id = useState('tab', () => '')
  const network = useState<Network>('network', () => 'clear')
  onMounted(() => {
    if (id.value) return
    id.value = Math.random().toString(36).slice(2)
    // As the page's connections remember what they found out about the network.
    const kept = sessionStorage.getItem(KEY)
    if (isNetwork(kept)) network.value = kept
  })

  /** What requests carry: another tab may stand in another network. */
  const tab = computed(() => network.value === 'clear' ? id.value : `${id.value}.${network.value}`)

  /** Resolves with whether the server could be told. */
  async function tell(path: 'cut' | 'network', body: object): Promise<boolean> {
    try {
      await $fetch(`/api/dev/${path}`, { method: 'POST', body: { tab: id.value, ...body } })
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
    // As a browser does it that has come to another network: waits are cut short, and streams are tried again.
    if (next !== 'stop') window.dispatchEvent(new Event('online'))
    return told
  }

  return { id, tab, network, setNetwork, cut: () => tell('cut', {}) }
}
