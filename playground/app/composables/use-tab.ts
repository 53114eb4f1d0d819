/** Names this browser tab, so that the server can cut its connections when the page asks for it. */
export function useTab() {
  // Made in the browser only, and after hydration: the server renders for all tabs alike.
  const tab = useState('tab', () => '')
  onMounted(() => tab.value ||= Math.random().toString(36).slice(2))

  /** Resolves with how many connections were open just then, and are no longer. */
  async function cut(): Promise<number> {
    try {
      const answer = await $fetch('/api/dev/cut', { method: 'POST', body: { tab: tab.value } })
      return answer.cut
    }
    catch {
      // A server that cannot be reached has nothing open.
      return 0
    }
  }
  return { tab, cut }
}
