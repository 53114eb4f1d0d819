import { randomUUID } from 'node:crypto'
import type { Network } from '#shared/utils/networks'

/** What a tab does to its network. */
export type NetworkNews = { tab: string, network: Network } | { tab: string, cut: true }

const INSTANCE = randomUUID()

const newsChannel = () => useSSEChannel<NetworkNews & { from: string }>('network', { retention: { maxMessages: 100, maxAgeMs: 60_000 } })

let listening = false

/** Here, and on the other instances that may have connections of the tab: a channel is how they hear of it. */
export function applyNews(news: NetworkNews): void {
  apply(news)
  // An instance that cannot be told reads it from the tab's next request.
  if (hasOthers()) void newsChannel().publish({ ...news, from: INSTANCE }).catch(() => {})
}

/** Hears what other instances are told, from now on. */
export function listenForNews(): void {
  if (listening || !hasOthers()) return
  listening = true
  // It ends with the driver or the server; the next request begins it again.
  void follow().catch(() => {}).finally(() => listening = false)
}

async function follow(): Promise<void> {
  for await (const { data: { from, ...news } } of newsChannel().subscribe({ after: 'now', onGap: () => {} })) {
    if (from !== INSTANCE) apply(news)
  }
}

function apply(news: NetworkNews): void {
  if ('cut' in news) cutTab(news.tab)
  else changeNetwork(news.tab, news.network)
}

/** What one process keeps in its memory, no other one reads. */
function hasOthers(): boolean {
  return useSSEStats().driver !== 'memory'
}
