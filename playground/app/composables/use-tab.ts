/** Names this browser tab, so that the server can cut its connections when the page asks for it. */
export function useTab(): { tab: Ref<string>, cut: () => Promise<void> } {
  // Made in the browser only, and after hydration: the server renders for all tabs alike.
  const tab = useState('tab', () => '')
  onMounted(() => tab.value ||= Math.random().toString(36).slice(2))
  return {
    tab,
    async cut() {
      await $fetch('/api/dev/cut', { method: 'POST', body: { tab: tab.value } })
    },
  }
}
